"""Another commit of ours, installed into an environment of its own, to be measured beside this one."""

import subprocess
import tarfile
import tempfile
import venv
from pathlib import Path

from bench.rounds import say
from bench.settings import ROOT


def build_commit(commit: str, cache: Path) -> str:
    """The Python that has the program of a commit, made where the cache does not hold it."""
    found = subprocess.run(["git", "rev-parse", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(f"--against {commit}: there is no such commit")
    sha = found.stdout.strip()
    directory = cache / f"build-{sha[:12]}"
    python = directory / "bin" / "python"
    if not (directory / "built").exists():
        say(f"building {sha[:12]} in {directory}")
        venv.create(directory, with_pip=True, clear=True)
        with tempfile.TemporaryDirectory(prefix="bench-build-") as folder:
            tree = Path(folder) / "tree"
            subprocess.run(["git", "archive", "--output", f"{folder}/tree.tar", sha], cwd=ROOT, check=True)
            with tarfile.open(f"{folder}/tree.tar") as archive:
                archive.extractall(tree, filter="data")
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--require-hashes", "-r", str(tree / "requirements.txt")], check=True)
            subprocess.run([*pip, "--no-deps", str(tree)], check=True)
        (directory / "root").mkdir()
        (directory / "root" / "bench").symlink_to(ROOT / "bench")
        (directory / "built").touch()
    return str(python)
