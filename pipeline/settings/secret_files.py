"""Files that may hold keys, `.env` and `pipeline.toml`: such a file must be its owner's alone."""

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from dotenv import dotenv_values

from pipeline.errors import ConfigurationError
from pipeline.settings.profiles import ConfigFile, Profile

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SECRET_VARIABLE = re.compile(r"KEY|TOKEN(?!S)|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
# Words of a header's or a parameter's name, and words that are found inside longer ones.
_SECRET_WORDS = frozenset({"auth", "authorization", "code", "cookie", "credential", "key", "sig", "signature"})
_SECRET_PART = re.compile(r"apikey|passw|secret|token(?!s)")
_SECRET_VALUE = re.compile(r"(bearer|basic|token)\s+\S|sk-", re.IGNORECASE)
# Sixteen signs or more with a digit among them and a letter; what begins with a slash is the rest of a URL.
_TOKEN = r"(?=[\w+/.~-]*\d)(?=[\w+/.~-]*[a-zA-Z])(?!/)[\w+/.~-]{16,}"
_TOLD_TOKEN = re.compile(rf"(?:[:=]\s*|\b(?:bearer|basic|token)\s+)[\"']?{_TOKEN}|\bsk-\S{{8}}", re.IGNORECASE)
_COMMANDS = ("api_key_command", "token_command", "content_key_command")


def read_dotenv(path: Path) -> dict[str, str]:
    """What a `.env` sets, empty values left out; nothing if there is none. Raises ConfigurationError."""
    if not path.is_file():
        return {}
    try:
        return {name: value for name, value in dotenv_values(path).items() if value}
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: save it as UTF-8") from error


def check_dotenv(path: Path, values: Mapping[str, str], *, named: Collection[str]) -> None:
    """Raises ConfigurationError if others can read a `.env` with keys: variables that are `named` or called so."""
    secrets = sorted(name for name in values if name in named or _SECRET_VARIABLE.search(name))
    if secrets and _others_can_read(path):
        raise ConfigurationError(
            f"{path} holds a key and others can read it: chmod 600 {path} (the key: {', '.join(secrets)})"
        )


def check_config_file(path: Path, file: ConfigFile) -> None:
    """Raises ConfigurationError if others can read a `pipeline.toml` that spells out a credential, whatever profile."""
    if not path.exists() or not _others_can_read(path):
        return
    for name, profile in file.profiles.items():
        for what, hint in _written_secrets(profile):
            raise ConfigurationError(
                f"{path} [profiles.{name}] spells out {what}, which looks like a credential, and others can read the"
                f" file: chmod 600 {path}{hint}"
            )


def _written_secrets(profile: Profile) -> Iterator[tuple[str, str]]:
    """Each header, parameter and command that looks like it has a credential, and what else may be done about it."""
    for name, value in (profile.headers or {}).items():
        if is_secret(name, value):
            yield f"the header {name}", ", or name a variable that has it, in headers_env"
    for name, value in (profile.params or {}).items():
        if is_secret(name, value):
            yield f"the parameter {name}", ""
    for name in _COMMANDS:
        if _tells_token(getattr(profile, name) or ()):
            yield f"an argument of {name}", ", or have the command take it from a file or a variable"


def _tells_token(command: Sequence[str]) -> bool:
    """Whether an argument has a token behind `:`, `=` or a scheme, or is one behind an option that is called so."""
    return any(
        (not argument.startswith("arn:") and _TOLD_TOKEN.search(argument) is not None)
        or (option.startswith("-") and is_secret(option, argument) and re.fullmatch(_TOKEN, argument) is not None)
        for option, argument in pairwise(command)
    )


def is_secret(name: str, value: str) -> bool:
    """Whether a header or a parameter looks like a credential, by its name or its value."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    by_name = not _SECRET_WORDS.isdisjoint(words) or any(_SECRET_PART.search(word) for word in words)
    return bool(value) and (by_name or _SECRET_VALUE.match(value) is not None)


def _others_can_read(path: Path) -> bool:
    return os.name == "posix" and bool(path.stat().st_mode & _OTHERS)
