"""The errors a person can meet: one class for each next action, each with its exit code."""

# Exit code of what Ctrl-C or a polite kill has ended.
INTERRUPTED = 130


class PipelineError(Exception):
    """Base of all errors that are not our bug; the message says where, what was found and what to do."""

    exit_code = 1


class ConfigurationError(PipelineError):
    """Fix the command line, the environment, `pipeline.toml` or an input file."""

    exit_code = 2


class RefusedError(PipelineError):
    """The server refuses everything we ask: a person must look at the key, the quota or the permission."""

    exit_code = 3


class IncompleteError(PipelineError):
    """Something could not be fetched; what landed is kept and running again goes on from there."""

    exit_code = 4


class UnreachedError(PipelineError):
    """Nothing ever answered where the server should be: look at the base URL, the network, the proxy."""

    exit_code = 4


class DamagedPartError(IncompleteError):
    """Raw parts are not what was written: they are set aside, a sync of the same threads fetches what they held."""


class CheckFailedError(PipelineError):
    """A check or a budget failed."""

    exit_code = 5


class WarehouseLockedError(PipelineError):
    """Another process writes to the warehouse; try again when it has ended."""

    exit_code = 6


class RequestError(PipelineError):
    """One request failed for good: it names the URL path, never the query string.

    `status` is the last HTTP status, or None when no answer came; `hint` what such an answer usually means.
    """

    exit_code = 4

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.hint = hint


class WalkError(PipelineError):
    """The server's paging cannot be trusted: the walk has no honest end."""

    exit_code = 4
