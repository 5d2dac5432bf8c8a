"""The key of hidden contents and what mode a source is in: settings to a key, refusals and warnings."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.http.tokens import read_key_file, run_key_command
from pipeline.privacy.content import FULL, HASHED
from pipeline.privacy.hiding import ContentKey
from pipeline.program import command
from pipeline.settings.invocation import Settings
from pipeline.settings.lookup import CONTENT_KEY_VARIABLE
from pipeline.sqlfiles.duck import read_frame
from pipeline.warehouse.database import open_for_reading

# As many as an HMAC with SHA-256 has bytes of security.
SHORTEST_KEY = 32
_HOW = "make one with `openssl rand -hex 32` and keep it: without it nobody finds a text by its hash again"

# How each sync or import of a source kept contents, the newest first; bills have none.
_MODES = """
select coalesce(content, 'full') as content, content_key
from syncs where source = $source
order by started_at desc, sync_id desc
"""


@dataclass(frozen=True, slots=True)
class History:
    """How contents of a source were kept so far; None where nothing was."""

    newest: str | None = None
    key: str | None = None
    was_full: bool = False


def read_content_key(settings: Settings) -> ContentKey | None:
    """The key to hide contents with, None if they stay. Raises ConfigurationError for a missing or short one."""
    return find_content_key(settings) if settings["content"] == HASHED else None


def find_content_key(settings: Settings) -> ContentKey:
    """The key, whatever the mode. Raises ConfigurationError."""
    if settings["content_key_file"]:
        path = settings.folder / Path(settings["content_key_file"]).expanduser()
        where, text = f"the key file {path}", read_key_file(path)
    elif settings["content_key_command"]:
        command = settings["content_key_command"]
        where, text = f"the command {command[0]!r}", run_key_command(command, environ=settings.environ)
    elif settings["content_key"] is not None:
        where, text = settings.settings["content_key"].origin, str(settings["content_key"]).strip()
    else:
        raise ConfigurationError(
            f"contents are to be hashed (profile {settings.source!r}) and there is no key: set the environment variable"
            f" {CONTENT_KEY_VARIABLE}, or name content_key_file or content_key_command in the profile; {_HOW}"
        )
    if len(text) < SHORTEST_KEY:
        raise ConfigurationError(
            f"the content key ({where}) has {len(text)} signs and needs at least {SHORTEST_KEY}: {_HOW}"
        )
    return ContentKey(text.encode())


def read_history(warehouse: Path, source: str) -> History:
    """How contents of a source were kept so far."""
    if not warehouse.exists():
        return History()
    with open_for_reading(warehouse) as connection:
        modes = read_frame(connection, _MODES, {"source": source})
    contents: list[str] = modes["content"].to_list()
    keys: list[str] = modes["content_key"].drop_nulls().to_list()
    return History(next(iter(contents), None), next(iter(keys), None), FULL in contents)


def check_content(history: History, settings: Settings, source: str, key: ContentKey | None) -> list[str]:
    """What a person should know of how contents of the source were kept so far.

    Raises ConfigurationError for a key that is not the one of before, and where nobody said that contents, which were
    hashed so far, are to be kept in full.
    """
    if key is None:
        if history.newest != HASHED:
            return []
        origin = settings.settings["content"].origin
        if origin == "default":
            raise ConfigurationError(
                f"contents of source {source!r} were hashed so far and nothing says so now: give --content hashed (or"
                ' content = "hashed" in the profile), or --content full if texts are to be kept from now on'
            )
        return [f"contents of source {source!r} were hashed so far and are kept in full from now on ({origin})"]
    if history.key not in (None, key.fingerprint):
        raise ConfigurationError(
            f"the content key is not the one that source {source!r} was hashed with (fingerprint {key.fingerprint}, it"
            f" was {history.key}): the same text would have two hashes. Give that key, or start anew with another"
            " profile name or --data-dir"
        )
    if history.was_full:
        return [
            f"earlier syncs of source {source!r} kept contents in full, and they stay as they are: remove them with"
            f" `{command('forget --full-content')}`, or by thread with `forget --thread ID`"
        ]
    return []
