"""Options that several verbs have, and the way from flags to settings."""

import inspect
import os
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.settings.invocation import Settings


class ContentMode(StrEnum):
    """What is kept of contents."""

    FULL = "full"
    HASHED = "hashed"


class Executor(StrEnum):
    """Where work in several processes runs."""

    LOCAL = "local"
    RAY = "ray"


class LogFormat(StrEnum):
    """Formats of messages on stderr."""

    TEXT = "text"
    JSON = "json"


DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of raw parts and warehouse (default: ./data).")
]
RawPlace = Annotated[
    str | None,
    typer.Option(
        "--raw",
        metavar="PLACE",
        help="A bucket (s3://, gs://, az://) for raw parts, which the data folder remembers (default: its folder raw).",
    ),
]
Content = Annotated[
    ContentMode | None,
    typer.Option("--content", help="Keep texts of customers in full, or hashed: a keyed hash and the size only."),
]
ProfileName = Annotated[str | None, typer.Option("--profile", help="A [profiles.NAME] of pipeline.toml.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="Where the API is, for example https://HOST/v1.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]
LogFormatOption = Annotated[LogFormat, typer.Option("--log-format", help="Messages on stderr as text or JSON lines.")]
LockWait = Annotated[
    float,
    typer.Option(
        "--lock-wait", min=0, max=86_400, help="Seconds to wait for another process that writes to the warehouse."
    ),
]
LakePlace = Annotated[
    str | None,
    typer.Option("--lake", metavar="PLACE", help="Read a lake (a folder, s3://, ...) instead of the warehouse."),
]
ExecutorOption = Annotated[
    Executor, typer.Option("--executor", help="Where processes run: on this machine, or as tasks of Ray (extra ray).")
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="The cluster for --executor ray (default: a local one; auto: the one that RAY_ADDRESS names).",
    ),
]
AllowHttp = Annotated[
    list[str] | None, typer.Option("--allow-http", metavar="HOST", help="Accept plain http to this host.")
]


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of its parameters that are dataclasses."""
    own = inspect.signature(command).parameters
    kinds = {name: each.annotation for name, each in own.items() if hasattr(each.annotation, "__dataclass_fields__")}
    fields = {name: inspect.signature(kind).parameters for name, kind in kinds.items()}

    @wraps(command)
    def run(**given: Any) -> None:
        made = {name: kind(**{key: given.pop(key) for key in fields[name]}) for name, kind in kinds.items()}
        command(**given, **made)

    flat = [each for name, one in own.items() for each in fields.get(name, {name: one}).values()]
    vars(run)["__signature__"] = inspect.Signature([each.replace(kind=each.KEYWORD_ONLY) for each in flat])
    run.__annotations__ = {each.name: each.annotation for each in flat}
    return run


def check_executor(executor: Executor, ray_address: str | None, *, tasks: int | None = None) -> None:
    """Raises ConfigurationError for an address, or a number of tasks, that nobody would use."""
    from pipeline.errors import ConfigurationError

    if tasks is not None and executor is not Executor.RAY:
        raise ConfigurationError(f"--workers {tasks} is for --executor ray: add that, or leave both away")
    if ray_address is not None and executor is not Executor.RAY:
        raise ConfigurationError(f"--ray-address {ray_address} is for --executor ray: add that, or leave both away")


def read_flags(**flags: Any) -> "Settings":
    """Settings in force, these flags (None: not given) before everything else."""
    from pipeline.settings.lookup import read_settings

    given = {name: str(value) if isinstance(value, Path | StrEnum) else value for name, value in flags.items()}
    settings = read_settings(given, os.environ, Path.cwd())
    if settings["raw"] is not None:
        from pipeline.raw.places import keep_place

        keep_place(settings)
    return settings
