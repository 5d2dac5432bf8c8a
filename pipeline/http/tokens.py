"""Where a key or a token comes from: a file, a command, or Azure's identity library; never an argument."""

import asyncio
import importlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import ConfigurationError, RefusedError
from pipeline.program import install_command

# A token is replaced this long before it ends: longer than any one request takes.
_RENEW_BEFORE = timedelta(minutes=5)
# Azure's command line gives the same token again until shortly before its end: it is not asked for each request then.
_RENEW_EVERY = timedelta(seconds=30)
_COMMAND_TIMEOUT_S = 60.0
_SHOWN_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; `expires_at` is None where nobody says."""

    value: str
    expires_at: datetime | None = None


FetchToken = Callable[[datetime], Token]


class TokenSource:
    """A token that stays valid: fetched when it is first needed, before it ends, and once after it was refused."""

    def __init__(self, fetch: FetchToken) -> None:
        self._fetch = fetch
        self._token: Token | None = None
        self._renew_at: datetime | None = None
        self._refused_once = False
        self._lock = asyncio.Lock()
        self._past: list[str] = []

    async def current(self, now: datetime) -> str:
        """The token to send. Raises ConfigurationError for the first, RefusedError if a later one cannot be had."""
        async with self._lock:
            if self._token is None or (self._renew_at is not None and now >= self._renew_at):
                await self._renew(now)
            if self._token is None:
                raise RuntimeError("there is no token")
            return self._token.value

    async def replace(self, refused: str, now: datetime) -> bool:
        """After a 401: whether there is another token to try than the one that was refused."""
        async with self._lock:
            if self._token is not None and self._token.value != refused:
                return True
            if self._refused_once:
                return False
            self._refused_once = True
            await self._renew(now)
            return True

    def accept(self) -> None:
        """The server took the token: one that is refused from now on was good before."""
        self._refused_once = False

    @property
    def values(self) -> Sequence[str]:
        """All tokens there have been."""
        return self._past

    def redact(self, text: str) -> str:
        """The text without any token of this source."""
        for value in self._past:
            text = text.replace(value, "[secret]")
        return text

    async def _renew(self, now: datetime) -> None:
        old = self._token
        try:
            token = await asyncio.to_thread(self._fetch, now)
        except ConfigurationError as error:
            if old is None:
                raise
            if old.expires_at is None or old.expires_at <= now or self._refused_once:
                raise RefusedError(f"the token has to be renewed and cannot be: {error}") from error
            self._renew_at = now + _RENEW_EVERY
            return
        if token.value not in self._past:
            self._past.append(token.value)
        self._token = token
        self._renew_at = None
        if token.expires_at is not None:
            self._renew_at = max(token.expires_at - _RENEW_BEFORE, now + _RENEW_EVERY)


def read_key_file(path: Path) -> str:
    """The key in a file that only its owner can read. Raises ConfigurationError."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"the key file {path} cannot be read: {reason}") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{path} holds a key and others can read it: chmod 600 {path}")
    return _checked(text, f"the key file {path}")


def run_key_command(command: Sequence[str], *, environ: Mapping[str, str]) -> str:
    """What a command prints, without white space around it. Raises ConfigurationError."""
    return _checked(_run(command, environ).strip(), f"the command {command[0]!r}")


def token_command(command: Sequence[str], *, environ: Mapping[str, str]) -> FetchToken:
    """Tokens that a command prints, as plain text or as JSON (`az account get-access-token` and its like)."""
    return lambda now: read_token(_run(command, environ), now=now, where=f"the command {command[0]!r}")


def identity_token(scope: str) -> FetchToken:
    """Tokens from azure-identity, wherever this machine or person is signed in.

    Raises ConfigurationError if the library is not there.
    """
    try:
        azure: Any = importlib.import_module("azure.identity")
    except ImportError as error:
        raise ConfigurationError(
            f"azure_identity needs the library azure-identity: {install_command('azure')},"
            ' or name a command with token_command = ["az", "account", "get-access-token", ...]'
        ) from error
    credential = azure.DefaultAzureCredential()

    def fetch(_now: datetime) -> Token:
        try:
            found = credential.get_token(scope)
        # Its errors derive from a class of azure-core, which cannot be named here without importing it.
        except Exception as error:
            reason = str(error).strip().partition("\n")[0][:_SHOWN_LENGTH]
            raise ConfigurationError(f"azure-identity has no token for {scope}: {reason}") from error
        return Token(found.token, _instant(found.expires_on))

    return fetch


def read_token(text: str, *, now: datetime, where: str) -> Token:
    """The token in what a command printed: plain text, or JSON with accessToken, access_token or token.

    The end of JSON tokens is taken from expires_on (unix time), expiresOn (ISO, local time where it names no zone) or
    expires_in (seconds).
    """
    if not text.lstrip().startswith("{"):
        return Token(_checked(text.strip(), where))
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{where} printed neither a token nor JSON") from error
    value = next((said[name] for name in ("accessToken", "access_token", "token") if name in said), None)
    if not isinstance(value, str):
        raise ConfigurationError(f"{where} printed JSON without accessToken; it has: {', '.join(sorted(said))}")
    expires_at = _instant(said.get("expires_on")) or _instant(said.get("expiresOn"))
    if expires_at is None and (seconds := _number(said.get("expires_in"))) is not None:
        expires_at = now + timedelta(seconds=seconds)
    return Token(_checked(value, where), expires_at)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    name = command[0]
    program = shutil.which(name, path=environ.get("PATH"))
    if program is None:
        raise ConfigurationError(f"the command {name!r} is not found: install it, or write its whole path")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(f"the command {name!r} did not end within {_COMMAND_TIMEOUT_S:g} s") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the command {name!r} cannot be used: {error}") from error
    if done.returncode:
        # Its words are not repeated: they may hold what it was to fetch, or to fetch it with.
        raise ConfigurationError(f"the command {name!r} ended with {done.returncode}: run it by hand to see why")
    return done.stdout


def _checked(value: str, where: str) -> str:
    """The key or token, if it can be a header."""
    if not value:
        raise ConfigurationError(f"{where} gave no key")
    if not value.isascii() or any(sign.isspace() or not sign.isprintable() for sign in value):
        raise ConfigurationError(f"{where} gave more than a key: it must be one line without spaces")
    return value


def _instant(value: object) -> datetime | None:
    """An instant from unix seconds or ISO text; without a zone it is local time, as Azure's command line writes it."""
    if (seconds := _number(value)) is not None:
        return datetime.fromtimestamp(seconds, UTC)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.astimezone(UTC)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None
