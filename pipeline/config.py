"""Settings: what is in force and where each value came from. Flag before environment before file before default."""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from dotenv import dotenv_values
from msgspec import Struct

from pipeline.endpoint import Endpoint, check_base_url
from pipeline.errors import ConfigurationError
from pipeline.kinds import KINDS, Auth, Kind, auth_headers
from pipeline.retrying import RetryPolicy

CONFIG_FILE = "pipeline.toml"
SAMPLE_SOURCE = "sample"
SAMPLE_KEY = "emulator-key"
DOTENV_FILE = ".env"
DEFAULT_PROFILE = "default"
API_KEY_VARIABLE = "OPENAI_API_KEY"
# The environment variables that users of this protocol already have, and two of our own.
VARIABLES = {
    "base_url": "OPENAI_BASE_URL",
    "organization": "OPENAI_ORG_ID",
    "project": "OPENAI_PROJECT_ID",
    "profile": "PIPELINE_PROFILE",
    "data_dir": "PIPELINE_DATA_DIR",
}
DEFAULTS: dict[str, Any] = {
    "profile": DEFAULT_PROFILE,
    "data_dir": "data",
    "kind": "openai",
    "base_url": None,
    "api_key": None,
    "auth": None,
    "organization": None,
    "project": None,
    "beta": None,
    "headers": {},
    "headers_env": {},
    "params": {},
    "plain_http_hosts": [],
    "concurrency": 32,
    "requests_per_minute": None,
    "timeout_s": 60.0,
    "attempts": 6,
    "longest_retry_after_s": 120.0,
    "include_content": True,
}
_MASKED = "(set, not shown)"


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A `[profiles.NAME]` of `pipeline.toml`; what it leaves out is decided by other layers."""

    kind: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    auth: Auth | None = None
    organization: str | None = None
    project: str | None = None
    beta: str | None = None
    headers: dict[str, str] | None = None
    headers_env: dict[str, str] | None = None
    params: dict[str, str] | None = None
    plain_http_hosts: list[str] | None = None
    concurrency: int | None = None
    requests_per_minute: float | None = None
    timeout_s: float | None = None
    attempts: int | None = None
    longest_retry_after_s: float | None = None
    include_content: bool | None = None


class ConfigFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`pipeline.toml`."""

    profile: str | None = None
    data_dir: str | None = None
    profiles: dict[str, Profile] = {}


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in force and the layer it came from."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one invocation, by name."""

    settings: dict[str, Setting]
    key_variable: str
    environ: Mapping[str, str] = field(repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.settings[name].value

    @property
    def data_dir(self) -> Path:
        """Where raw parts and the warehouse are."""
        return Path(self["data_dir"])

    @property
    def source(self) -> str:
        """The name that rows from this server carry: the profile's."""
        return str(self["profile"])

    @property
    def retry_policy(self) -> RetryPolicy:
        """How patient the client is."""
        return RetryPolicy(attempts=self["attempts"], longest_retry_after_s=self["longest_retry_after_s"])

    def for_sample(self, base_url: str) -> "Settings":
        """The same settings for the sample server."""
        sample = {
            "profile": SAMPLE_SOURCE,
            "kind": "compatible",
            "base_url": base_url,
            "api_key": SAMPLE_KEY,
            "auth": "bearer",
            "headers": {},
            "headers_env": {},
            "params": {},
        }
        origins = {name: Setting(value, "the sample") for name, value in sample.items()}
        return Settings({**self.settings, **origins}, self.key_variable, self.environ)

    def endpoint(self) -> Endpoint:
        """The server to talk to. Raises ConfigurationError, with what to do next, if that is not settled."""
        kind = KINDS[self["kind"]]
        base_url = self["base_url"] or kind.base_url
        if not base_url:
            raise ConfigurationError(
                f"no server is configured for profile {self.source!r}: give --base-url https://HOST/v1,"
                f" set OPENAI_BASE_URL, or write base_url into [profiles.{self.source}] of {CONFIG_FILE}."
                " To look around first, without a key or a network: python -m pipeline sync --sample"
            )
        hosts = frozenset(self["plain_http_hosts"])
        return Endpoint(
            base_url=check_base_url(base_url, plain_http_hosts=hosts),
            headers=self._headers(kind),
            params=tuple({**kind.params, **self["params"]}.items()),
            secrets=tuple(value for value in (self["api_key"], *self._secret_headers().values()) if value),
            timeout_s=self["timeout_s"],
        )

    def _headers(self, kind: Kind) -> dict[str, str]:
        auth, key = self["auth"] or kind.auth, self["api_key"]
        if key is None and kind.key_required and auth != "none":
            raise ConfigurationError(
                f"no key for profile {self.source!r}: set the environment variable {self.key_variable}"
                f' (or, where the server wants none, auth = "none" in [profiles.{self.source}] of {CONFIG_FILE})'
            )
        named = {
            "OpenAI-Beta": self["beta"] or kind.beta,
            "OpenAI-Organization": self["organization"],
            "OpenAI-Project": self["project"],
        }
        return {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": "run-steps-pipeline",
            **{name: value for name, value in named.items() if value},
            **kind.headers,
            **self["headers"],
            **self._secret_headers(),
            **auth_headers(auth, key),
        }

    def _secret_headers(self) -> dict[str, str]:
        headers = {}
        for name, variable in self["headers_env"].items():
            if not (value := self.environ.get(variable)):
                raise ConfigurationError(f"the header {name} is to come from {variable}, which is not set")
            headers[name] = value
        return headers

    def describe(self) -> list[tuple[str, str, str]]:
        """Name, value and origin of every setting, secrets masked."""
        return [(name, _shown(name, setting.value), setting.origin) for name, setting in self.settings.items()]


def read_settings(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """Settings from flags (None: not given), the environment, `.env` and `pipeline.toml` of the folder, and defaults.

    Raises ConfigurationError naming the file and the place for anything that cannot be read.
    """
    dotenv = _read_dotenv(folder / DOTENV_FILE)
    file = read_config_file(folder / CONFIG_FILE)
    given = {name: Setting(value, f"--{name.replace('_', '-')}") for name, value in flags.items() if value is not None}
    variables = {**_from_variables(dotenv, f"in {DOTENV_FILE}"), **_from_variables(environ, "in the environment")}
    top = {name: Setting(value, CONFIG_FILE) for name in ("profile", "data_dir") if (value := getattr(file, name))}
    name = {**top, **variables, **given}.get("profile", Setting(DEFAULT_PROFILE, "default")).value
    profile = _profile_of(file, name)
    own = {
        key: Setting(value, f"{CONFIG_FILE} [profiles.{name}]")
        for key in DEFAULTS
        if (value := getattr(profile, key, None)) is not None
    }
    defaults = {key: Setting(value, "default") for key, value in DEFAULTS.items()}
    settings = {**defaults, **top, **own, **variables, **given}
    key_variable = profile.api_key_env or API_KEY_VARIABLE
    for values, where in ((dotenv, f"in {DOTENV_FILE}"), (environ, "in the environment")):
        if values.get(key_variable):
            settings["api_key"] = Setting(values[key_variable], f"{key_variable} {where}")
    _check(settings)
    return Settings(settings, key_variable, {**dotenv, **environ})


def read_config_file(path: Path) -> ConfigFile:
    """`pipeline.toml`, empty if there is none."""
    if not path.exists():
        return ConfigFile()
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), ConfigFile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except msgspec.ValidationError as error:
        hint = (
            ": a key belongs into the environment, name its variable with api_key_env"
            if "api_key" in str(error)
            else ""
        )
        raise ConfigurationError(f"{path}: {error}{hint}") from error


def _profile_of(file: ConfigFile, name: str) -> Profile:
    if name in file.profiles or name in (DEFAULT_PROFILE, SAMPLE_SOURCE):
        return file.profiles.get(name, Profile())
    known = ", ".join(sorted(file.profiles)) or "none"
    raise ConfigurationError(f"{CONFIG_FILE} has no profile {name!r} (there is: {known}): add [profiles.{name}]")


def _from_variables(values: Mapping[str, str], where: str) -> dict[str, Setting]:
    return {
        name: Setting(value, f"{variable} {where}")
        for name, variable in VARIABLES.items()
        if (value := values.get(variable))
    }


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    values = {name: value for name, value in dotenv_values(path).items() if value}
    mode = path.stat().st_mode
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO) and any("KEY" in name for name in values):
        raise ConfigurationError(f"{path} holds a key and others can read it: chmod 600 {path}")
    return values


def _check(settings: Mapping[str, Setting]) -> None:
    if (kind := settings["kind"]).value not in KINDS:
        raise ConfigurationError(f"kind = {kind.value!r} ({kind.origin}) is not one of {', '.join(KINDS)}")
    if not str(settings["profile"].value).replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"the profile name {settings['profile'].value!r} may have letters, digits, - and _ only: it becomes a folder"
        )
    for name, least in (("concurrency", 1), ("attempts", 1), ("timeout_s", 0.001), ("requests_per_minute", 0.001)):
        setting = settings[name]
        if setting.value is not None and setting.value < least:
            raise ConfigurationError(f"{name} = {setting.value} ({setting.origin}) is too small: at least {least}")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "api_key":
        return _MASKED
    if name == "headers":
        return ", ".join(f"{header}: {_MASKED}" for header in value)
    return str(value)
