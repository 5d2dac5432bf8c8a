"""What a task on a cluster makes sure of before it works: the same program and the same folder as who started it."""

import platform

from pipeline import __version__
from pipeline.errors import ConfigurationError, PipelineError
from pipeline.raw.parts import PartName, RawStore


def check_version(version: str) -> None:
    """Raises ConfigurationError unless this machine has that version of the program."""
    if version != __version__:
        raise ConfigurationError(
            f"{platform.node()} has run-steps-pipeline {__version__} and not {version}: install the same everywhere"
        )


def check_folder(store: RawStore, part: PartName) -> None:
    """Raises ConfigurationError unless this machine sees a part that who started it all has landed."""
    try:
        store.read_body_bytes(part)
    except PipelineError as error:
        raise ConfigurationError(
            f"{platform.node()} does not see the raw parts of this command in {store.place}:"
            " --data-dir must be a folder that all machines of the cluster share"
        ) from error
