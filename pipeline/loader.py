"""Loading in the background of a sync, whenever parts have landed and nobody else needs the warehouse."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import DamagedPartError, PipelineError
from pipeline.landing import RawStore
from pipeline.load import load_new_parts

# Each load opens and closes the warehouse, which costs as much as loading a part: it waits for a batch, not for long.
_PARTS = 2
_SECONDS = 2.0


class Loader(threading.Thread):
    """Loads parts as they land, where the warehouse is free; what it cannot load is left to the end of the sync."""

    def __init__(self, store: RawStore, warehouse: Path) -> None:
        super().__init__(name="loader", daemon=True)
        self._store = store
        self._warehouse = warehouse
        self._changed = threading.Condition()
        self._stopping = False
        self._landed = 0
        self._loaded_at = float("-inf")
        self.damage: DamagedPartError | None = None

    def wake(self) -> None:
        """Say that a part has landed."""
        with self._changed:
            self._landed += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End after the load that is under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def run(self) -> None:
        """Load whenever enough has landed."""
        while self._wait():
            # What stands in the way (a lock, a full disk) the load at the end of the sync meets again, and names it.
            with contextlib.suppress(PipelineError):
                try:
                    load_new_parts(self._store, self._warehouse, wait_s=0.0, beside_readers=False)
                except DamagedPartError as error:
                    self.damage = error
            self._loaded_at = time.monotonic()

    def _wait(self) -> bool:
        """Until some parts have landed, or one and a while has passed; False when this is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._landed)
            patience_s = max(0.0, self._loaded_at + _SECONDS - time.monotonic())
            self._changed.wait_for(lambda: self._stopping or self._landed >= _PARTS, patience_s)
            self._landed = 0
            return not self._stopping


@contextlib.contextmanager
def loading(store: RawStore, warehouse: Path) -> Iterator[Loader]:
    loader = Loader(store, warehouse)
    loader.start()
    try:
        yield loader
    finally:
        loader.stop()


async def in_daemon_thread(work: Callable[[], object]) -> None:
    """Wait for work done in a thread that does not hold up the end of the program, should this task be cancelled."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if ended.cancelled():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the work is waited for
            error = raised
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="load", daemon=True).start()
    await ended
