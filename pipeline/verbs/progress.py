"""What a person sees while a sync runs: one live line on a terminal, log lines elsewhere, JSON lines for machines."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from pipeline.console.plain_text import plain_line, plain_text
from pipeline.extract.fetching import Progress
from pipeline.http.client import Traffic

LogFormat = Literal["text", "json"]
_LINE_EVERY_S = 5.0


class Watched(Protocol):
    """Work that can be watched: its counts for machines and for a person, and how much is done of what."""

    def values(self) -> dict[str, Any]: ...
    def line(self) -> str: ...
    def share(self) -> tuple[int, int | None]: ...


@dataclass(slots=True)
class Meter:
    """Counts of a running sync with its speed; `clock` in seconds."""

    progress: Progress
    traffic: Traffic
    started_s: float = field(default_factory=time.monotonic)

    def values(self) -> dict[str, Any]:
        """What there is to show; `left_s` is None before anything can be said."""
        elapsed_s = max(time.monotonic() - self.started_s, 0.001)
        done, total = self.progress.threads_done, self.progress.threads_total
        return {
            "threads": done,
            "threads_total": total,
            "runs": self.progress.runs,
            "steps": self.progress.steps,
            "requests": self.traffic.requests,
            "requests_per_s": round(self.traffic.requests / elapsed_s, 1),
            "retries": self.traffic.retries,
            "trouble": self.traffic.trouble,
            "elapsed_s": round(elapsed_s, 1),
            "left_s": round(elapsed_s / done * (total - done)) if done and total else None,
        }

    def line(self) -> str:
        """The same for a person."""
        return _plain_line(self.values())

    def share(self) -> tuple[int, int | None]:
        """Threads done, of how many."""
        return self.progress.threads_done, self.progress.threads_total


class Reporter:
    """Speaks to a person or a log on one stream (stderr)."""

    def __init__(self, stream: TextIO, *, quiet: bool, log_format: LogFormat) -> None:
        self._stream = stream
        self.quiet = quiet
        self._json = log_format == "json"
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def say(self, message: str, *, level: str = "info", **fields: Any) -> None:
        """One message; with --quiet only warnings and errors. It is one line, but for errors that list what to do."""
        if self.quiet and level == "info":
            return
        if self._json:
            record = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "message": message}
            self._stream.write(json.dumps(record | fields) + "\n")
            self._stream.flush()
        else:
            line = message if level == "error" else message.replace("\n", "\N{REPLACEMENT CHARACTER}")
            self._console.print(plain_text(line if level == "info" else f"{level}: {line}"), markup=False)

    @contextmanager
    def watching(self, meter: Watched) -> Iterator[None]:
        """Show the meter while the block runs."""
        if self.quiet:
            yield
        elif self._console.is_terminal and not self._json:
            with Live(
                console=self._console, get_renderable=lambda: _live_line(meter), refresh_per_second=4, transient=True
            ):
                yield
        else:
            with self._logging(meter):
                yield

    @contextmanager
    def _logging(self, meter: Watched) -> Iterator[None]:
        ended = threading.Event()

        def log() -> None:
            while not ended.wait(_LINE_EVERY_S):
                self.say(meter.line(), **meter.values())

        thread = threading.Thread(target=log, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _live_line(meter: Watched) -> Table:
    done, total = meter.share()
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=total or None, completed=done, width=20), meter.line())
    return grid


def _plain_line(values: dict[str, Any]) -> str:
    total = "?" if values["threads_total"] is None else f"{values['threads_total']:,}"
    why = f" (last: {plain_line(values['trouble'])})" if values["trouble"] else ""
    left = "" if values["left_s"] is None else f", {_duration(values['left_s'])} left"
    return (
        f"threads {values['threads']:,}/{total}, runs {values['runs']:,}, steps {values['steps']:,},"
        f" {values['requests_per_s']:,.0f} requests/s, retries {values['retries']:,}{why}{left}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
