"""Licences of what the program, its extras and its tools install: docs/licences.md, from the metadata of packages.

Exit code 1 names a package whose metadata say nothing: look at its licence file, then add it to `_FROM_ITS_FILE`.
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "licences.md"
REQUIREMENTS = ROOT / "requirements.txt"
ALL_REQUIREMENTS = ROOT / "requirements-dev.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
# Metadata that hold the whole text, or packages that only some systems install: seen in their own files 2026-11-20.
_FROM_ITS_FILE = {
    "appnope": "BSD-2-Clause",
    "backports-zstd": "PSF-2.0",
    "colorama": "BSD-3-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    # Of its adodbapi, which nothing here uses, the licence is another.
    "pywin32": "PSF-2.0",
    "pywinpty": "MIT",
}
# Offered under either of two licences: the one that it is taken under.
_CHOSEN = {"pycurl": "MIT"}
_LONGEST_NAME = 60
_HEAD = """\
# Licences

What `requirements.txt` installs and under which licence, as the packages themselves state it; `make licences` writes
this. None is copied into this repository or its wheel. This program itself is under the MIT licence.

pycurl may be taken under LGPL-2.1 or MIT, and is taken under MIT. Its wheels hold libraries of others: libcurl, OpenSSL
and more under permissive licences, on Linux and macOS also libidn2 and libunistring, under LGPL-3.0-or-later or
GPL-2.0-or-later. They are installed from the registry as they are, linked dynamically and not changed.

"""
_EXTRAS = """
What the extras (`notebook`, `azure`, `lake`, `ray`) and the tools for development install in addition
(`requirements-dev.txt`):

"""
_TABLE = """\
| package | licence |
|---|---|
"""


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(render(REQUIREMENTS.read_text("utf-8"), ALL_REQUIREMENTS.read_text("utf-8")), "utf-8")


def render(requirements: str, all_requirements: str) -> str:
    """The document for the texts of both requirements files. Raises ValueError naming a package without a licence."""
    needed, every = set(_PIN.findall(requirements)), set(_PIN.findall(all_requirements))
    return _HEAD + _table(needed) + _EXTRAS + _table(every - needed)


def _table(names: Iterable[str]) -> str:
    return _TABLE + "".join(f"| {name} | {read_licence(name)} |\n" for name in sorted(names))


def read_licence(name: str) -> str:
    """What a package states: the SPDX expression, else the name, else the classifiers."""
    if noted := _FROM_ITS_FILE.get(name) or _CHOSEN.get(name):
        return noted
    try:
        fields = metadata(name)
    except PackageNotFoundError:
        raise ValueError(
            f"{name} is not installed here, and its licence is not noted in {Path(__file__).name}"
        ) from None
    written = "".join(fields.get_all("License") or []).strip()
    is_name = len(written) <= _LONGEST_NAME and "\n" not in written and written != "UNKNOWN"
    short = written if is_name else ""
    classified = [
        value.split(" :: ")[-1] for value in fields.get_all("Classifier") or [] if value.startswith("License ::")
    ]
    stated = "".join(fields.get_all("License-Expression") or [])
    if licence := stated or short or " AND ".join(classified):
        return licence
    raise ValueError(f"the metadata of {name} state no licence: look at its licence file")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(str(error))
