"""The settings of one invocation: each value with where it came from, and the server, key and headers they come to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from pipeline.errors import ConfigurationError
from pipeline.http.retrying import RetryPolicy
from pipeline.program import command
from pipeline.protocol.endpoint import Endpoint, check_base_url, check_headers, hide_credentials
from pipeline.protocol.kinds import COMMON_HINTS, KINDS, Kind, auth_headers
from pipeline.settings.profiles import CONFIG_FILE
from pipeline.settings.secret_files import is_secret
from pipeline.storage.buckets import shown_place

if TYPE_CHECKING:
    # These import asyncio and Polars, which verbs without network or frames have no use for.
    from pipeline.http.tokens import TokenSource
    from pipeline.protocol.pages import Protocol, SourceFacts

SAMPLE_SOURCE = "sample"
# What threads of the sample went on as when they moved; as a user would have it, in a profile of its own.
MOVED_SOURCE = "sample-responses"
SAMPLE_KEY = "emulator-key"
_SAMPLE = "the sample"
_MASKED = "(set, not shown)"
_PUBLIC_PARAMS = frozenset({"api-version", "api_version"})
# What the file spells out, and a part of a header, may be a credential; a shorter one would be found in any text.
_SHORTEST_SECRET = 6


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
    def is_sample(self) -> bool:
        """Whether the server is the one that comes with this program."""
        return self.settings["base_url"].origin == _SAMPLE

    @property
    def retry_policy(self) -> RetryPolicy:
        """How patient the client is."""
        return RetryPolicy(attempts=self["attempts"], longest_retry_after_s=self["longest_retry_after_s"])

    @property
    def settle_after(self) -> str:
        """For how long runs that say too little are asked for again."""
        return str(self["settle_after"] or KINDS[self["kind"]].settle_after)

    @property
    def protocol(self) -> "Protocol":
        """Which objects the server speaks of."""
        return KINDS[self["kind"]].protocol

    @property
    def follows_agents(self) -> bool:
        """Whether threads that connected agents worked on are synced as well."""
        chosen = self["follow_agents"]
        return KINDS[self["kind"]].follows_agents if chosen is None else bool(chosen)

    def source_facts(self, *, is_named: bool) -> "SourceFacts | None":
        """What the profile says of its source; None if it is not named and says nothing."""
        from pipeline.protocol.pages import SourceFacts

        if not is_named and all(self.settings[name].origin == "default" for name in SourceFacts.__struct_fields__):
            return None
        return SourceFacts(**{name: self[name] or None for name in SourceFacts.__struct_fields__})

    def for_sample(self, base_url: str, *, source: str) -> "Settings":
        """The same settings for one of the two sources of the sample server."""
        sample: dict[str, Any] = {
            "profile": source,
            "kind": "foundry-responses" if source == MOVED_SOURCE else "compatible",
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
        origins = {name: Setting(value, _SAMPLE) for name, value in sample.items()}
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
            raise ConfigurationError(self.no_server())
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
            keys=self._keys(key),
            quotes_server=self["content"] == "full",
            timeout_s=self["timeout_s"],
            hints=(*kind.hints, *COMMON_HINTS),
            whole_lists=self["whole_lists"],
            odd_fields=frozenset(self["odd_fields"]),
        )

    def no_server(self) -> str:
        """That no server is configured, with the ways to name one that answers."""
        kind = KINDS[self["kind"]]
        section = f"[profiles.{self.source}] of {CONFIG_FILE}"
        found = f"no server is configured for profile {self.source!r}"
        sample = f"To look around first, without a key or a network: {command('sync --sample')}"
        if kind.base_url_example and not kind.takes_openai_variables:
            return f"{found}: give --base-url {kind.base_url_example} or write base_url into {section}.\n  {sample}"
        foundry = KINDS["foundry"].base_url_example
        ways = (
            f'Foundry: kind = "foundry" and base_url = "{foundry}" in {section}',
            "A gateway (Portkey, LiteLLM) or your own server: --base-url https://HOST/v1, or OPENAI_BASE_URL",
            f"What you saved before OpenAI and Azure OpenAI switched this API off: {command('import PATH...')}",
            sample,
        )
        return "\n  ".join((f"{found}. Name one:", *ways))

    def tokens(self) -> "TokenSource | None":
        """Where bearer tokens that end come from, if the profile names a command or azure-identity."""
        from pipeline.http.tokens import TokenSource, identity_token, token_command

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
        from pipeline.http.tokens import read_key_file, run_key_command

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

    def _keys(self, key: str | None) -> tuple[str, ...]:
        """What must not land where a server repeats it: the key, headers that hold one, what follows their scheme."""
        named = [value for name, value in self["headers"].items() if is_secret(name, value)]
        schemed = [*self._secret_headers().values(), *named]
        found = [key or "", *schemed, *(part for value in schemed for part in value.split()[1:])]
        return tuple(dict.fromkeys(value for value in found if value))

    def _secrets(self, key: str | None) -> tuple[str, ...]:
        """What errors must not repeat: keys, headers, parameters; also as URLs have them."""
        guessed = [
            *self["headers"].values(),
            *(value for name, value in self["params"].items() if name not in _PUBLIC_PARAMS or is_secret(name, value)),
        ]
        sure = {key, *self._secret_headers().values()}
        found = (*self._keys(key), *guessed)
        whole = [value for value in found if value in sure or len(value) >= _SHORTEST_SECRET]
        return tuple(dict.fromkeys(form for value in whole for form in _forms(value)))

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


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is, and as it is escaped in a URL."""
    return secret, quote(secret, safe=""), quote(secret), quote_plus(secret)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in ("api_key", "content_key"):
        return _MASKED
    if name.endswith("_command"):
        # Its arguments may be anything.
        return Path(value[0]).name + (" (arguments not shown)" if value[1:] else "") if value else ""
    if name in ("headers", "params"):
        return ", ".join(f"{key}: {text if key in _PUBLIC_PARAMS else _MASKED}" for key, text in value.items())
    if name == "base_url":
        return hide_credentials(value)
    if name == "raw":
        return shown_place(value)
    return str(value)
