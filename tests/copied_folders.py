"""Folders of tests that take long to make: made once in a process, and copied for each who wants one of his own."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


def make_copy(make: Callable[[Path], object], folder: Path) -> None:
    """Fill a folder with the files that `make` puts into one, for their owner alone as the product makes them."""
    for name, content in _files_of(make).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)


@cache
def _files_of(make: Callable[[Path], object]) -> dict[Path, bytes]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
