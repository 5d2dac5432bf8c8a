"""How this program was started: the commands that it prints work when they are pasted."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

NAME = "run-steps"
DISTRIBUTION = "run-steps-pipeline"
# Options that say what a command is about, with the verbs that have them: commands that we print repeat them.
REPEATED = {
    "--data-dir": (
        "sync", "load", "import", "status", "query", "report", "publish", "prices", "check", "import-usage",
        "explain-cost", "explain-change", "prune", "forget", "doctor",
    ),
    "--profile": ("sync", "import", "status", "import-usage", "forget", "doctor", "runs", "steps"),
    "--base-url": ("sync", "doctor", "runs", "steps"),
    "--allow-http": ("sync", "doctor", "runs", "steps"),
}  # fmt: skip
_ROOT = Path(__file__).parents[1]


def command(arguments: str) -> str:
    """A command line of this program as the person who started it would type it, on the same data and profile."""
    verb = arguments.split()[0]
    # A value that looks like an option is one only behind an equals sign.
    given = [
        f"{name}{'=' if value.startswith('-') else ' '}{shlex.quote(value)}"
        for name, value in _given(sys.argv[1:])
        if verb in REPEATED[name]
    ]
    return " ".join([_program(), arguments, *given])


def install_command(extra: str) -> str:
    """What installs an extra of this program into the place that it runs from."""
    source = _source()
    wanted = shlex.quote(
        f"{source}[{extra}]" if _is_path(source) else f"{DISTRIBUTION}[{extra}]{source and f' @ {source}'}"
    )
    if "UV_RUN_RECURSION_DEPTH" in os.environ:
        return f"uv sync --inexact --extra {extra}"
    if _is_passing():
        return f"uvx --from {wanted} {NAME}"
    if "tools" in Path(sys.prefix).parts and "uv" in Path(sys.prefix).parts:
        return f"uv tool install --force {wanted}"
    if "pipx" in Path(sys.prefix).parts:
        return f"pipx install --force {wanted}"
    if find_spec("pip") is None:
        return f"uv pip install --python {_short(sys.executable)} {wanted}"
    return f"{_python()} -m pip install {wanted}"


def missing_package(error: ModuleNotFoundError) -> str | None:
    """What to do about a library that this Python does not have; None for a module of our own, which is a bug."""
    package = (error.name or "").split(".")[0]
    if not package or package == "pipeline":
        return None
    found = f"the library {package} is not installed for {_python()}"
    ready = _ROOT / ".venv" / "bin" / "python"
    if ready.is_file() and Path(sys.prefix) != ready.parents[1]:
        return f"{found}: {_short(ready)} -m pipeline has it"
    if (_ROOT / "Makefile").is_file():
        return f"{found}: `make demo` sets up .venv/bin/python, which has it; or {_python()} -m pip install {_source()}"
    return f"{found}: install {DISTRIBUTION} anew"


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options that say what a command is about, each with its value."""
    # Behind `--` there are no options.
    for place, argument in enumerate(takewhile(lambda argument: argument != "--", arguments)):
        name, equals, value = argument.partition("=")
        if name in REPEATED and equals:
            yield name, value
        elif name in REPEATED and place + 1 < len(arguments):
            yield name, arguments[place + 1]


def _program() -> str:
    started = Path(sys.argv[0])
    prefix = "uv run " if "UV_RUN_RECURSION_DEPTH" in os.environ else ""
    if started.name != NAME:
        return f"{prefix}{_python()} -m pipeline"
    if _is_passing():
        return f"uvx --from {shlex.quote(_source() or DISTRIBUTION)} {NAME}"
    found = shutil.which(NAME)
    is_found = found is not None and Path(found).exists() and started.exists() and Path(found).samefile(started)
    return prefix + (NAME if prefix or is_found else _short(started))


def _python() -> str:
    """The Python that runs this, as it was typed, where this was started with `python -m pipeline`."""
    if "UV_RUN_RECURSION_DEPTH" in os.environ or Path(sys.argv[0]).parent.name != "pipeline" or not sys.orig_argv:
        return "python"
    return _short(sys.orig_argv[0])


def _short(path: Path | str) -> str:
    """A path as it may be typed in this folder."""
    text, here = str(path), f"{Path.cwd()}{os.sep}"
    return shlex.quote(text.removeprefix(here))


def _is_passing() -> bool:
    """Whether `uvx` made the place that this runs from, which is on nobody's PATH."""
    return any(part.startswith("archive-v") for part in Path(sys.prefix).parts) and "UV" in os.environ


def _source() -> str:
    """Where this came from, in a form that can be installed: a folder, a URL, or nothing if by its name alone."""
    from importlib.metadata import PackageNotFoundError, distribution

    if (_ROOT / "pyproject.toml").is_file():
        return _folder(_ROOT)
    try:
        record = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    url, vcs = str(record.get("url", "")), record.get("vcs_info", {}).get("vcs")
    if url.startswith("file://") and "dir_info" in record:
        return _folder(Path(url.removeprefix("file://")))
    return f"{vcs}+{url}" if vcs else url


def _folder(path: Path) -> str:
    return "." if path == Path.cwd() else str(path)


def _is_path(source: str) -> bool:
    return source == "." or source.startswith("/")
