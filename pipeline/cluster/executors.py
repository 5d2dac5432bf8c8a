"""Where a command fetches: in this process, in several of this machine, or on a Ray cluster."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from pipeline.cluster.crew import Crew, count_workers
from pipeline.cluster.fleet import Fleet
from pipeline.cluster.ray_fleet import RayFleet
from pipeline.extract.fetching import ExtractOptions
from pipeline.extract.responses import is_conversation
from pipeline.extract.share import Extraction
from pipeline.settings.invocation import Settings

Executor = Literal["local", "ray"]


@dataclass(slots=True)
class Fleets:
    """Workers for each round of a command; to be closed at its end."""

    settings: Settings
    folder: Path
    options: ExtractOptions
    full: bool
    executor: Executor = "local"
    ray_address: str | None = None
    # Started early, for the first round.
    crew: Crew | None = None
    _on_ray: RayFleet | None = field(default=None, init=False)

    def choose(self, states: pl.DataFrame) -> Extraction | None:
        """Workers for the threads of a plan; None where one process does it."""
        if self.executor == "ray":
            # All rounds share one cluster: to start one takes seconds.
            self._on_ray = self._on_ray or RayFleet(
                self.settings, self.folder, self.options, self.full, self.ray_address
            )
            return self._on_ray
        if any(not is_conversation(thread_id) for thread_id in self._responses(states)):
            # What one leaves open another of its chain may hold: one process has to see them all.
            self._dismiss()
            return None
        # A thread whose list begins with sealed runs is one request, most often: no work for another process.
        new = states.height if self.full else states["after_id"].null_count()
        if self.settings.is_sample:
            # Its server is on this machine, too, and the whole of it takes less than another process does to start.
            new = 0
        workers = count_workers(self.settings["workers"], threads=states.height, new_threads=new)
        if not workers:
            self._dismiss()
            return None
        crew, self.crew = self.crew or Crew(), None
        return Fleet(self.settings, self.folder, workers, self.options, self.full, crew)

    def _responses(self, states: pl.DataFrame) -> Iterable[str]:
        return states["thread_id"] if self.options.protocol == "responses" else ()

    async def aclose(self) -> None:
        """Leave the cluster, if there is one; whoever waits for work in vain ends."""
        self._dismiss()
        if self._on_ray is not None:
            await self._on_ray.close()

    def _dismiss(self) -> None:
        if self.crew is not None:
            self.crew.dismiss()
            self.crew = None
