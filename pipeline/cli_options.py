"""Options that several verbs have, and the way from flags to settings."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.config import Settings


class LogFormat(StrEnum):
    """Formats of messages on stderr."""

    TEXT = "text"
    JSON = "json"


DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of raw parts and warehouse (default: ./data).")
]
ProfileName = Annotated[str | None, typer.Option("--profile", help="A \\[profiles.NAME] of pipeline.toml.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="Where the API is, for example https://HOST/v1.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]
LogFormatOption = Annotated[LogFormat, typer.Option("--log-format", help="Messages on stderr as text or JSON lines.")]
LockWait = Annotated[
    float, typer.Option("--lock-wait", help="Seconds to wait for another process that writes to the warehouse.")
]
AllowHttp = Annotated[
    list[str] | None, typer.Option("--allow-http", metavar="HOST", help="Accept plain http to this host.")
]


def read_flags(**flags: Any) -> "Settings":
    """Settings in force, these flags (None: not given) before everything else."""
    from pipeline.config import read_settings

    given = {name: str(value) if isinstance(value, Path) else value for name, value in flags.items()}
    return read_settings(given, os.environ, Path.cwd())
