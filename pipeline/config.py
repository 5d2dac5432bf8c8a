"""Settings: what is in force and where each value came from. Flag before environment before file before default."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from pipeline.endpoint import Endpoint, check_base_url, check_headers, hide_credentials
from pipeline.errors import ConfigurationError
from pipeline.kinds import COMMON_HINTS, KINDS, Kind, auth_headers
from pipeline.profiles import CONFIG_FILE, CONTENT_KEY_SOURCES, KEY_SOURCES, ConfigFile, Profile, read_config_file
from pipeline.retrying import RetryPolicy
from pipeline.tokens import TokenSource, identity_token, read_key_file, run_key_command, token_command

SAMPLE_SOURCE = "sample"
SAMPLE_KEY = "emulator-key"
DOTENV_FILE = ".env"
DEFAULT_PROFILE = "default"
# The environment variables that users of this protocol already have, and two of our own.
OPENAI_VARIABLES = {
    "base_url": "OPENAI_BASE_URL",
    "organization": "OPENAI_ORG_ID",
    "project": "OPENAI_PROJECT_ID",
}
VARIABLES = {"profile": "PIPELINE_PROFILE", "data_dir": "PIPELINE_DATA_DIR", "raw": "PIPELINE_RAW"}
CONTENT_VARIABLE = "PIPELINE_CONTENT"
CONTENT_KEY_VARIABLE = "PIPELINE_CONTENT_KEY"
CONTENT_MODES = ("full", "hashed")
DEFAULTS: dict[str, Any] = {
    "profile": DEFAULT_PROFILE,
    "data_dir": "data",
    "raw": None,
    "kind": "openai",
    "base_url": None,
    "api_key": None,
    "api_key_file": None,
    "api_key_command": None,
    "token_command": None,
    "azure_identity": False,
    "token_scope": None,
    "auth": None,
    "organization": None,
    "project": None,
    "beta": None,
    "headers": {},
    "headers_env": {},
    "params": {},
    "plain_http_hosts": [],
    "concurrency": 32,
    "workers": 0,
    "requests_per_minute": None,
    "timeout_s": 60.0,
    "attempts": 6,
    "longest_retry_after_s": 120.0,
    "include_content": True,
    "content": "full",
    "content_key": None,
    "content_key_file": None,
    "content_key_command": None,
    "follow_agents": None,
    "whole_lists": False,
    "models": {},
    "cold_after": None,
    "cold_share": 0.1,
    "cold_longest": "30d",
}
_MASKED = "(set, not shown)"
# Flags that are not spelled like the setting.
_FLAGS = {"plain_http_hosts": "--allow-http", "include_content": "--search-content/--no-search-content"}
_PUBLIC_PARAMS = frozenset({"api-version"})
# A header that the file spells out may be a credential; a shorter value would be found in any text.
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in force and the layer it came from."""

    value: Any = field(repr=False)
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one invocation, by name."""

    settings: dict[str, Setting]
    key_variable: str
    environ: Mapping[str, str] = field(repr=False)
    folder: Path = Path()

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

    @property
    def follows_agents(self) -> bool:
        """Whether threads that connected agents worked on are synced as well."""
        chosen = self["follow_agents"]
        return KINDS[self["kind"]].follows_agents if chosen is None else bool(chosen)

    def for_sample(self, base_url: str) -> "Settings":
        """The same settings for the sample server."""
        sample: dict[str, Any] = {
            "profile": SAMPLE_SOURCE,
            "kind": "compatible",
            "base_url": base_url,
            "api_key": SAMPLE_KEY,
            "api_key_file": None,
            "api_key_command": None,
            "token_command": None,
            "azure_identity": False,
            "auth": "bearer",
            "headers": {},
            "headers_env": {},
            "params": {},
        }
        origins = {name: Setting(value, "the sample") for name, value in sample.items()}
        return Settings({**self.settings, **origins}, self.key_variable, self.environ, self.folder)

    def for_workers(self) -> "Settings":
        """The same settings for machines of a cluster: without the environment, as far as no command needs it."""
        if self["token_command"] or self["api_key_command"]:
            return self
        named = {name: self.environ[name] for name in self["headers_env"].values() if name in self.environ}
        return replace(self, environ=named)

    def endpoint(self) -> Endpoint:
        """The server to talk to. Raises ConfigurationError, with what to do next, if that is not settled."""
        kind = KINDS[self["kind"]]
        base_url = self["base_url"] or kind.base_url
        if not base_url:
            variable = " set OPENAI_BASE_URL," if kind.takes_openai_variables else ""
            raise ConfigurationError(
                f"no server is configured for profile {self.source!r}: give --base-url {kind.base_url_example},"
                f"{variable} or write base_url into [profiles.{self.source}] of {CONFIG_FILE}."
                " To look around first, without a key or a network: python -m pipeline sync --sample"
            )
        hosts = frozenset(self["plain_http_hosts"])
        with self._naming_profile():
            checked_url = check_base_url(base_url, plain_http_hosts=hosts)
            key = self._key()
        headers = self._headers(kind, key)
        with self._naming_profile():
            check_headers(headers)
        return Endpoint(
            base_url=checked_url,
            headers=headers,
            params=tuple({**kind.params, **self["params"]}.items()),
            secrets=self._secrets(key),
            quotes_server=self["content"] == "full",
            timeout_s=self["timeout_s"],
            hints=(*kind.hints, *COMMON_HINTS),
            whole_lists=self["whole_lists"],
        )

    def tokens(self) -> TokenSource | None:
        """Where bearer tokens that end come from, if the profile names a command or azure-identity."""
        if self["token_command"]:
            return TokenSource(token_command(self["token_command"], environ=self.environ))
        if self["azure_identity"]:
            scope = self["token_scope"] or KINDS[self["kind"]].token_scope
            if scope is None:
                raise ConfigurationError(
                    f"azure_identity for kind {self['kind']!r} needs token_scope in [profiles.{self.source}]"
                )
            return TokenSource(identity_token(scope))
        return None

    def _key(self) -> str | None:
        """The key, from wherever the profile says; only a verb that asks a server comes here."""
        if self["api_key"] is not None:
            return str(self["api_key"]).strip()
        if self["api_key_file"]:
            return read_key_file(self.folder / Path(self["api_key_file"]).expanduser())
        if self["api_key_command"]:
            return run_key_command(self["api_key_command"], environ=self.environ)
        return None

    def _headers(self, kind: Kind, key: str | None) -> dict[str, str]:
        auth = self["auth"] or kind.auth
        has_tokens = bool(self["token_command"] or self["azure_identity"])
        if key is None and kind.key_required and auth != "none" and not has_tokens:
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
                raise ConfigurationError(
                    f"profile {self.source!r}: the header {name} is to come from {variable}, which is not set"
                )
            headers[name] = value
        return headers

    def _secrets(self, key: str | None) -> tuple[str, ...]:
        written = (value for value in self["headers"].values() if len(value) >= _SHORTEST_SECRET)
        return tuple(value for value in (key, *self._secret_headers().values(), *written) if value)

    def describe(self) -> list[tuple[str, str, str]]:
        """Name, value and origin of every setting, also of those that the kind decides, secrets masked."""
        shown = {name: self._with_kind(name, setting) for name, setting in self.settings.items()}
        return [(name, _shown(name, setting.value), setting.origin) for name, setting in shown.items()]

    def _with_kind(self, name: str, setting: Setting) -> Setting:
        decided = KINDS[self["kind"]].settings.get(name)
        origin = f"kind {self['kind']}"
        if isinstance(decided, dict) and decided.keys() - setting.value.keys():
            origins = f"{origin}, {setting.origin}" if setting.value else origin
            return Setting({**decided, **setting.value}, origins)
        is_open = setting.value is None or setting.value == ""
        return Setting(decided, origin) if is_open and decided is not None else setting

    @contextmanager
    def _naming_profile(self) -> Iterator[None]:
        try:
            yield
        except ConfigurationError as error:
            raise ConfigurationError(f"profile {self.source!r}: {error}") from error


def read_settings(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """Settings from flags (None: not given), the environment, `.env` and `pipeline.toml` of the folder, and defaults.

    Raises ConfigurationError naming the file and the place for anything that cannot be read.
    """
    dotenv = _read_dotenv(folder / DOTENV_FILE)
    file = read_config_file(folder / CONFIG_FILE)
    given = {name: Setting(value, _flag(name)) for name, value in flags.items() if value is not None}
    layers = ((dotenv, f"in {DOTENV_FILE}"), (environ, "in the environment"))
    variables = _from_variables({**VARIABLES, "content": CONTENT_VARIABLE}, layers)
    top = {
        name: Setting(value, CONFIG_FILE) for name in ("profile", "data_dir", "raw") if (value := getattr(file, name))
    }
    name = {**top, **variables, **given}.get("profile", Setting(DEFAULT_PROFILE, "default")).value
    profile = _profile_of(file, name)
    own = {
        key: Setting(value, f"{CONFIG_FILE} [profiles.{name}]")
        for key in DEFAULTS
        if (value := getattr(profile, key, None)) is not None
    }
    defaults = {key: Setting(value, "default") for key, value in DEFAULTS.items()}
    settings = {**defaults, **top, **own, **variables, **given}
    _check(settings)
    kind = KINDS[settings["kind"].value]
    if kind.takes_openai_variables:
        settings |= {**_from_variables(OPENAI_VARIABLES, layers), **given}
    sources = [source for source in KEY_SOURCES if getattr(profile, source)]
    if len(sources) > 1:
        raise ConfigurationError(f"[profiles.{name}] has {' and '.join(sources)}: say one place for the key")
    key_variable = profile.api_key_env or kind.key_variable
    # A key that happens to be in the environment is not for a server whose profile names another place.
    if sources in ([], ["api_key_env"]):
        settings |= _from_variables({"api_key": key_variable}, layers)
    settings |= _content_key(profile, name, layers)
    return Settings(settings, key_variable, {**dotenv, **environ}, folder)


def _content_key(profile: Profile, name: str, layers: Sequence[tuple[Mapping[str, str], str]]) -> dict[str, Setting]:
    """The key of hidden contents, if the environment is where this profile has it from."""
    sources = [source for source in CONTENT_KEY_SOURCES if getattr(profile, source)]
    if len(sources) > 1:
        raise ConfigurationError(f"[profiles.{name}] has {' and '.join(sources)}: say one place for the content key")
    if sources not in ([], ["content_key_env"]):
        return {}
    return _from_variables({"content_key": profile.content_key_env or CONTENT_KEY_VARIABLE}, layers)


def _flag(name: str) -> str:
    return _FLAGS.get(name) or f"--{name.replace('_', '-')}"


def _profile_of(file: ConfigFile, name: str) -> Profile:
    if name in file.profiles or name in (DEFAULT_PROFILE, SAMPLE_SOURCE):
        return file.profiles.get(name, Profile())
    known = ", ".join(sorted(file.profiles)) or "none"
    raise ConfigurationError(f"{CONFIG_FILE} has no profile {name!r} (there is: {known}): add [profiles.{name}]")


def _from_variables(
    variables: Mapping[str, str], layers: Sequence[tuple[Mapping[str, str], str]]
) -> dict[str, Setting]:
    """What the variables say, by the name of their setting; a later layer before an earlier one."""
    return {
        name: Setting(value, f"{variable} {where}")
        for values, where in layers
        for name, variable in variables.items()
        if (value := values.get(variable))
    }


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        values = {name: value for name, value in dotenv_values(path).items() if value}
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: save it as UTF-8") from error
    mode = path.stat().st_mode
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO) and any("KEY" in name for name in values):
        raise ConfigurationError(f"{path} holds a key and others can read it: chmod 600 {path}")
    return values


def _check(settings: Mapping[str, Setting]) -> None:
    if (kind := settings["kind"]).value not in KINDS:
        raise ConfigurationError(f"kind = {kind.value!r} ({kind.origin}) is not one of {', '.join(KINDS)}")
    if (content := settings["content"]).value not in CONTENT_MODES:
        raise ConfigurationError(f"content = {content.value!r} ({content.origin}) is not one of full, hashed")
    if not str(settings["profile"].value).replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"the profile name {settings['profile'].value!r} may have letters, digits, - and _ only:"
            " it becomes a folder"
        )
    for name, least in (
        ("concurrency", 1),
        ("workers", 0),
        ("attempts", 1),
        ("timeout_s", 0.001),
        ("requests_per_minute", 0.001),
    ):
        setting = settings[name]
        # Not `<`: nan is neither less nor more.
        if setting.value is not None and not setting.value >= least:
            raise ConfigurationError(f"{name} = {setting.value} ({setting.origin}) is too small: at least {least}")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in ("api_key", "content_key"):
        return _MASKED
    if name in ("headers", "params"):
        return ", ".join(f"{key}: {text if key in _PUBLIC_PARAMS else _MASKED}" for key, text in value.items())
    if name == "base_url":
        return hide_credentials(value)
    return str(value)
