"""The command line of `emulate`."""

import os
from enum import StrEnum
from typing import Annotated

import typer


class Dialect(StrEnum):
    """Dialects of the emulator."""

    PLAIN = "plain"
    OPENAI = "openai"
    AZURE = "azure"
    FOUNDRY = "foundry"


class AuthStyle(StrEnum):
    """Where the emulator wants its key."""

    BEARER = "bearer"
    API_KEY = "api-key"
    NONE = "none"


def emulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65_535)] = 0,
    seed: Annotated[int, typer.Option(help="The corpus follows from it.")] = 7,
    threads: Annotated[int, typer.Option(help="Threads in the corpus.", min=0, max=1_000_000)] = 400,
    phase: Annotated[int, typer.Option(help="0: some runs are open; 1: they have finished.", min=0, max=1)] = 0,
    dialect: Annotated[Dialect, typer.Option(help="What it lists and what it demands.")] = Dialect.PLAIN,
    auth: Annotated[AuthStyle, typer.Option(help="Where it wants the key.")] = AuthStyle.BEARER,
    base_path: Annotated[str, typer.Option(help="Path in front of /threads.")] = "/v1",
    moves: Annotated[bool, typer.Option(help="Its responses are what threads of it went on as.")] = False,
    until_stdin_ends: Annotated[bool, typer.Option(help="Stop when standard input is closed.")] = False,
) -> None:
    """A local server of the protocol with made-up threads; one JSON line when it listens. Its key: EMULATOR_API_KEY."""
    from pipeline.emulator import run_emulator

    run_emulator(
        host=host,
        port=port,
        seed=seed,
        threads=threads,
        phase=phase,
        api_key=os.environ.get("EMULATOR_API_KEY", "emulator-key"),
        dialect=dialect.value,
        auth=auth.value,
        base_path=base_path,
        moves=moves,
        stop_on_stdin_eof=until_stdin_ends,
    )
