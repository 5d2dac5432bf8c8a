"""`pipeline.toml`: profiles, each a server and how to talk to it; what it leaves out is decided elsewhere."""

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from pipeline.errors import ConfigurationError
from pipeline.protocol.kinds import Auth

_Table = TypeVar("_Table", bound=Struct)
CONFIG_FILE = "pipeline.toml"
# Ways to name a key or a token in a profile; one at most, and none of them is the key itself.
KEY_SOURCES = ("api_key_env", "api_key_file", "api_key_command", "token_command", "azure_identity")

_KEYS = ("content_key", "api_key")
CONTENT_KEY_SOURCES = ("content_key_env", "content_key_file", "content_key_command")


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A `[profiles.NAME]` of `pipeline.toml`; what it leaves out is decided by other layers."""

    kind: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    api_key_command: list[str] | None = None
    token_command: list[str] | None = None
    azure_identity: bool | None = None
    token_scope: str | None = None
    auth: Auth | None = None
    organization: str | None = None
    project: str | None = None
    beta: str | None = None
    headers: dict[str, str] | None = None
    headers_env: dict[str, str] | None = None
    params: dict[str, str] | None = None
    plain_http_hosts: list[str] | None = None
    concurrency: int | None = None
    workers: int | None = None
    requests_per_minute: float | None = None
    timeout_s: float | None = None
    attempts: int | None = None
    longest_retry_after_s: float | None = None
    include_content: bool | None = None
    content: str | None = None
    content_key_env: str | None = None
    content_key_file: str | None = None
    content_key_command: list[str] | None = None
    follow_agents: bool | None = None
    whole_lists: bool | None = None
    odd_fields: list[str] | None = None
    models: dict[str, str] | None = None
    provider: str | None = None
    sku: str | None = None
    cold_after: str | None = None
    cold_share: float | None = None
    cold_longest: str | None = None
    settle_after: str | None = None


class ConfigFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`pipeline.toml`."""

    profile: str | None = None
    data_dir: str | None = None
    raw: str | None = None
    profiles: dict[str, Profile] = {}


def read_config_file(path: Path) -> ConfigFile:
    """`pipeline.toml`, empty if there is none."""
    if not path.exists():
        return ConfigFile()
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    profiles = content.get("profiles")
    for name, profile in profiles.items() if isinstance(profiles, dict) else ():
        _convert(profile, Profile, f"{path} [profiles.{name}]")
    return _convert(content, ConfigFile, str(path))


def _convert(content: object, into: type[_Table], where: str) -> _Table:
    try:
        return msgspec.convert(content, into)
    except msgspec.ValidationError as error:
        hint = (
            f": a key belongs into the environment, a file or a command; name it with {key}_env, {key}_file"
            f" or {key}_command"
            if (key := next((key for key in _KEYS if key in str(error)), None))
            else ""
        )
        raise ConfigurationError(f"{where}: {error}{hint}") from error
