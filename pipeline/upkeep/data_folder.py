"""A data folder as a whole, for what removes something everywhere in it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DamagedPartError
from pipeline.privacy.forget_record import only_forgetter
from pipeline.raw.parts import PartName, RawStore
from pipeline.warehouse.database import DAMAGED
from pipeline.warehouse.load import load_new_parts


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What may hold anything: files that were set aside as damaged, and raw parts that are not what was written."""

    files: Sequence[Path] = ()
    parts: Sequence[PartName] = ()


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where everything is; `lock_wait_s` is how long to wait for another process that writes."""

    data_dir: Path
    store: RawStore
    warehouse: Path
    lock_wait_s: float = 30.0

    def unreadable(self) -> "Unreadable":
        """What nobody can look into. Raises PipelineError for what this user may not read."""
        folders = (self.data_dir, *(path for path in self.store.folder.glob("*") if path.is_dir()))
        files = sorted(path for folder in folders for path in folder.glob(f"*{DAMAGED}") if path.is_file())
        return Unreadable(files, [part for part in self.store.list_parts() if not self._is_sound(part)])

    def where_of(self, unreadable: "Unreadable") -> list[str]:
        """The places of all of it, for messages."""
        return [*map(str, unreadable.files), *(self.store.where(part) for part in unreadable.parts)]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process forgets anything here meanwhile. Raises WarehouseLockedError."""
        with only_forgetter(self.data_dir, wait_s=self.lock_wait_s):
            yield

    def load(self) -> None:
        """Bring the warehouse up to date; parts that turn out damaged are set aside."""
        try:
            load_new_parts(self.store, self.warehouse, wait_s=self.lock_wait_s)
        except DamagedPartError:
            return

    def _is_sound(self, part: PartName) -> bool:
        try:
            self.store.read_rows(part)
        except DamagedPartError:
            return False
        return True
