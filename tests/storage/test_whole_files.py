"""Files that appear whole and never in the place of another, also where a file system has no hard links."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.raw.parts import RawStore
from pipeline.storage.whole_files import share_once, write_once
from tests.landed import Listing, land, run_of

# What mounts of exFAT, FUSE and SMB, a full table of links and a kernel that lacks the call say.
REFUSALS = [errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EACCES]


@pytest.fixture(params=REFUSALS, ids=lambda code: errno.errorcode[code])
def no_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", refuse)


@pytest.fixture(params=["renameat2", "no renameat2"])
def renames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no renameat2":
        # As on a C library, or a file system, that has none.
        monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())


@pytest.mark.usefixtures("no_links", "renames")
def test_without_hard_links_a_file_appears_once_and_nothing_takes_its_place(tmp_path: Path) -> None:
    write_once(tmp_path / "a", b"first")
    write_once(tmp_path / "a", b"second")
    share_once(tmp_path / "a", tmp_path / "b")

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"first", "b": b"first"}


@pytest.mark.usefixtures("no_links", "renames")
def test_without_hard_links_a_part_lands_and_none_is_overwritten(tmp_path: Path) -> None:
    store = RawStore(tmp_path / "raw")
    part = land(store, Listing(0, [run_of("run_1")]))
    before = store.read_file(part)

    with pytest.raises(ConfigurationError, match="exists"):
        land(store, Listing(1, [run_of("run_2")]))

    assert [store.read_file(found) for found in store.list_parts()] == [before]
    assert [path.suffix for path in store.path(part).parent.iterdir()] == [".parquet"]


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file where the folder should be")

    with pytest.raises(ConfigurationError, match="cannot write raw data to "):
        land(RawStore(tmp_path / "raw"), Listing(0, [run_of("run_1")]))
