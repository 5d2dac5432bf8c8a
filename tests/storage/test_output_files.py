"""Where a result is written: what is there is written to and stays what it is, and what cannot be is said first."""

import os
import stat
import threading
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.report import Scope, write_report
from pipeline.storage.output_files import check_output, write_output
from tests.landed import NOON
from tests.warehouses import make_one_run

TEXT = "a result\n" * 10_000


def test_a_plain_file_appears_whole_for_its_owner_and_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    out.write_text("older")
    out.chmod(0o644)

    write_output(out, TEXT, "a result")

    assert (out.read_text(), stat.S_IMODE(out.stat().st_mode)) == (TEXT, 0o600)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("target", ["there", "missing"])
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").write_text("older and longer" * 10_000)
    out = tmp_path / "out.html"
    out.symlink_to(tmp_path / target)

    check_output(out, "a result")
    write_output(out, TEXT, "a result")

    assert out.is_symlink()
    assert (tmp_path / target).read_text() == TEXT


@pytest.mark.parametrize("by", ["its name", "a link"])
def test_a_pipe_is_written_to_and_stays(tmp_path: Path, by: str) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()

    out = pipe if by == "its name" else link
    check_output(out, "a result")
    write_output(out, TEXT, "a result")

    reader.join()
    assert got == [TEXT]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_descriptor_of_this_process_is_written_to(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+b") as file:
        write_output(Path(f"/dev/fd/{file.fileno()}"), TEXT, "a result")
        assert file.read().decode() == TEXT


def test_a_device_that_is_full_is_said_and_stays_a_device(tmp_path: Path) -> None:
    full = tmp_path / "full"
    try:
        # The numbers of /dev/full, which nobody should try this on.
        os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        with full.open("w"):
            pass
    except PermissionError:
        # Only root makes devices; what anybody may write to beside a pipe is the way to nothing.
        write_output(Path(os.devnull), TEXT, "a result")
        assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
        return

    with pytest.raises(ConfigurationError, match="No space left on device"):
        write_output(full, TEXT, "a result")

    assert stat.S_ISCHR(full.stat().st_mode)


@pytest.mark.parametrize("place", ["", "missing/out.html", "link", "file/out.html", "socket"])
def test_where_nothing_can_be_written_is_said_before_the_work_begins(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "out.html")
    before = sorted(tmp_path.rglob("*"))
    with socket.socket(socket.AF_UNIX) as listener:
        if place == "socket":
            listener.bind(place)
        with pytest.raises(ConfigurationError, match="cannot write a report to"):
            # There is no warehouse to look into.
            write_report(tmp_path / "warehouse.duckdb", tmp_path / place, Scope(None, None), now=NOON)

    (tmp_path / "socket").unlink(missing_ok=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_report_goes_through_a_link(tmp_path: Path) -> None:
    warehouse = make_one_run(tmp_path / "warehouse.duckdb")
    (tmp_path / "link").symlink_to("real.html")

    write_report(warehouse, tmp_path / "link", Scope(None, None), now=NOON)

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.html").read_text().startswith("<!doctype html>")
