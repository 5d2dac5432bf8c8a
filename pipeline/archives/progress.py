"""How far an import is: what it has counted so far, for whoever shows it."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.protocol.pages import ArchiveFile


@dataclass(slots=True)
class ImportProgress:
    """Counts of an import while it runs. `archives` are the files that it read or already knew, `open_lists` pages of
    several threads' items that go on where nothing is.
    """

    files_total: int = 0
    files_done: int = 0
    files_known: int = 0
    runs: int = 0
    steps: int = 0
    items: int = 0
    left_out: int = 0
    archives: list[ArchiveFile] = field(default_factory=list)
    open_lists: list[str] = field(default_factory=list)

    @property
    def unrecognised(self) -> int:
        """Places that nobody could read, in all files, also in those known from before."""
        return sum(archive.unrecognised for archive in self.archives)

    @property
    def items_alone(self) -> int:
        """Items of all files that belong to no response and no turn of what was read."""
        return sum(archive.items_alone for archive in self.archives)

    def values(self) -> dict[str, Any]:
        """What there is to show."""
        return {
            "files": self.files_done,
            "files_total": self.files_total,
            "files_known": self.files_known,
            "runs": self.runs,
            "steps": self.steps,
            "items": self.items,
            "left_out": self.left_out,
            "items_alone": self.items_alone,
            "unrecognised": self.unrecognised,
        }

    def line(self) -> str:
        """The same for a person."""
        return f"files {self.files_done:,}/{self.files_total:,}, runs {self.runs:,}, steps {self.steps:,}"

    def share(self) -> tuple[int, int | None]:
        """What is done, of what."""
        return self.files_done, self.files_total
