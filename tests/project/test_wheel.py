"""The wheel works from any folder: it carries the SQL and the prices and needs nothing of the source tree."""

import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_INHERITED = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "HOME", "LD_PRELOAD")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of what a source distribution has, without asking any index."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pipeline", "sql", "docs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "data").mkdir()
    for path in (ROOT / "data").glob("*.csv"):
        shutil.copy(path, source / "data")
    for path in (ROOT / "pyproject.toml", *ROOT.glob("*.md"), *ROOT.glob("LICENSE")):
        shutil.copy(path, source)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", folder=source)
    [wheel] = (source / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has this wheel, and of its dependencies what the tests run with."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    [packages] = folder.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index", "--quiet"]
    run(*pip, "--target", str(packages), str(wheel), folder=folder)
    # Appended, so that the wheel comes first; as text, so that no .pth of an editable install is followed.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return python


def run(*command: str, folder: Path) -> str:
    """What a command printed; CalledProcessError if it fails."""
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    ended = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_wheel_carries_all_sql_and_the_prices_and_nothing_that_was_left_in_the_tree(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    expected = {f"pipeline/{path.relative_to(ROOT)}" for path in (ROOT / "sql").rglob("*.sql")}
    assert expected - names == set()
    assert "pipeline/data/prices.csv" in names
    assert {name for name in names if name.split("/")[0] == "tests" or ".duckdb" in name} == set()


def test_the_installed_wheel_syncs_the_sample_from_another_folder(python: Path, tmp_path: Path) -> None:
    printed = run(str(python), "-m", "pipeline", "sync", "--sample", "--json", folder=tmp_path)

    summary = json.loads(printed)
    assert (summary["verdict"], summary["threads"]) == ("complete", 400)
    where = "import pipeline; print(pipeline.__file__)"
    assert Path(run(str(python), "-c", where, folder=tmp_path)).is_relative_to(python.parents[1])
    answer = run(str(python), "-m", "pipeline", "query", "spend_by_model", "--format", "json", folder=tmp_path)
    assert len(json.loads(answer)) > 1
    assert sorted(path.name for path in (tmp_path / "data").iterdir() if path.suffix != ".lock") == [
        "raw",
        "warehouse.duckdb",
    ]


def test_the_installed_command_has_a_short_name_too(python: Path, tmp_path: Path) -> None:
    entries = "from importlib.metadata import entry_points; print(entry_points(name='run-steps')['run-steps'].value)"

    assert run(str(python), "-c", entries, folder=tmp_path).strip() == "pipeline.cli.main:main"


def test_the_installed_program_and_what_it_tells_to_type_work_beside_a_folder_of_its_name(
    python: Path, tmp_path: Path
) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise ImportError('this is somebody else's')")
    script = python.parent / "run-steps"
    # As installers write it: processes that it starts read it again.
    script.write_text(f"#!{python}\nfrom pipeline.cli.main import main\nif __name__ == '__main__':\n    main()\n")
    script.chmod(0o700)

    printed = run(str(script), "sync", "--sample", folder=tmp_path)

    hints = printed.partition("\nNext\n")[2].splitlines()
    assert [line for line in hints if not line.startswith(f"  {script} ")] == []
    assert all(run("sh", "-c", line, folder=tmp_path) for line in hints)
    assert run(str(script), "docs", "scale", folder=tmp_path) == (ROOT / "docs" / "scale.md").read_text("utf-8")
