"""The command line: the verbs together, errors as text and exit codes. Each verb imports the heavy modules it needs."""

import errno
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.cli.docs import docs
from pipeline.cli.emulate import emulate
from pipeline.cli.forget import forget
from pipeline.cli.help import SETTINGS, Verb, Verbs
from pipeline.cli.lake import publish_app
from pipeline.cli.money import add_money_verbs
from pipeline.cli.objects import runs_app, steps_app
from pipeline.cli.sync import import_, sync
from pipeline.cli.upkeep import doctor, prune
from pipeline.cli.warehouse import load, query, report, status
from pipeline.console.plain_text import plain_text
from pipeline.errors import INTERRUPTED, ConfigurationError, PipelineError, RequestError, UnreachedError
from pipeline.flatten.garbage_collector import tune_garbage_collector
from pipeline.program import NAME, command, missing_package

_OTHERS = 0o077
_FULL = (errno.ENOSPC, errno.EDQUOT)
# Of a name that somebody gave.
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP)
_SHOWN_OF_A_NAME = 60
_EXIT_CODES = """\b
Exit codes:
    0  done
    1  a bug of ours
    2  usage or configuration
    3  refused by the server: key, quota, permission
    4  incomplete: something could not be had, what landed is kept
    5  a check or a budget failed
    6  the warehouse is locked
  130  interrupted, safe to run again
"""

app = typer.Typer(
    name="pipeline",
    help="Run steps of AI assistants into DuckDB: what their tools did and what they cost.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    cls=Verbs,
    # A shell completes the name of a program.
    add_completion=Path(sys.argv[0]).name == NAME,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
app.command(cls=Verb)(sync)
app.command("import", cls=Verb)(import_)
app.command(cls=Verb)(load)
app.command(cls=Verb)(status)
app.command(cls=Verb)(query)
app.command(cls=Verb)(report)
app.add_typer(publish_app, name="publish")
add_money_verbs(app)
app.command(cls=Verb)(prune)
app.command(cls=Verb)(forget)
app.command(cls=Verb)(doctor)
app.command(cls=Verb)(docs)
app.add_typer(runs_app, name="runs")
app.add_typer(steps_app, name="steps")
app.command(cls=Verb)(emulate)


def main() -> None:
    """Run the command line; every error leaves as a message and an exit code."""
    # What we write holds conversations: nobody else may read it, nor the logs that duckdb makes beside its file.
    os.umask(_OTHERS)
    # deltalake logs on stderr where it looks for credentials; what comes of it is in its errors.
    os.environ.setdefault("RUST_LOG", "error")
    tune_garbage_collector()
    code = _run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        code = _say_cannot_write(error)
    sys.stderr.flush()
    # Not through the interpreter's own end: after an interruption a load may still be under way in its thread (its
    # transaction is safe to leave), and duckdb 2.0.0 takes what polars holds on to for leaks and says so on stderr.
    os._exit(code)


def _run() -> int:
    try:
        app()
    except SystemExit as left:
        # The reader of our output has gone (`| head`): nothing more to say to it. Typer ends with 1 then.
        if isinstance(left.__context__, BrokenPipeError):
            return 0
        return left.code if isinstance(left.code, int) else 0
    except PipelineError as error:
        hint = f" ({error.hint})" if isinstance(error, RequestError) and error.hint else ""
        print(plain_text(f"error: {error}{hint}"), file=sys.stderr)
        if isinstance(error, UnreachedError):
            print(f"{command('doctor')} looks for the reason", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: it is safe to run this again", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug of ours, reported as one
        if isinstance(error, OSError) and error.errno in _FULL:
            return _say_cannot_write(error)
        if isinstance(error, OSError) and error.errno in _NO_NAME:
            print(plain_text(f"error: {str(error.filename)[:_SHOWN_OF_A_NAME]}...: {error.strerror}"), file=sys.stderr)
            return ConfigurationError.exit_code
        if isinstance(error, ModuleNotFoundError) and (found := missing_package(error)):
            print(f"error: {found}", file=sys.stderr)
            return ConfigurationError.exit_code
        print(f"This is a bug in run-steps-pipeline {__version__}; please report it with:", file=sys.stderr)
        print(traceback.format_exc(), file=sys.stderr)
        return 1
    return 0


def _say_cannot_write(error: OSError) -> int:
    print(f"error: cannot write: {error.strerror or error}", file=sys.stderr)
    return ConfigurationError.exit_code


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
