"""The servers that speak the protocol, as data: where they are, how they authenticate, what their refusals mean."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from pipeline.protocol.pages import Protocol

Auth = Literal["bearer", "api-key", "x-portkey-api-key", "none"]

_NOT_FOUND = 404
# So much of an error's body is looked at for a hint.
_LOOKED_AT_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Hint:
    """What an answer usually means and what to do; `found`: any one of these must be in its body.

    `is_json` False: only for a body that is no JSON object. A hint `if_all` speaks of a whole sync: it is said when
    every thread was answered so; `hosts` are what the server's name must end with then.
    """

    status: int
    text: str
    found: tuple[bytes, ...] = ()
    is_json: bool | None = None
    if_all: bool = False
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of server.

    `key_required` False: a key is sent only if there is one. `key_variable` is where the key is looked for when the
    profile does not say. `token_scope` is what an Entra token must be for. `takes_openai_variables`: OPENAI_BASE_URL
    and its kin speak of this server; elsewhere they would send one server's key to another.
    `has_version`: its base URL has a version as its last segment. `base_url_example` None: its own servers are off.
    `protocol`: which objects it speaks of; `lists_threads` False: it never lists what these are in. `settle_after`: for
    so long a run that ended may change.
    """

    base_url: str | None = None
    base_url_example: str | None = "https://HOST/v1"
    auth: Auth = "bearer"
    key_required: bool = True
    key_variable: str = "OPENAI_API_KEY"
    token_scope: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    beta: str | None = None
    takes_openai_variables: bool = False
    follows_agents: bool = False
    has_version: bool = True
    protocol: Protocol = "assistants"
    lists_threads: bool = True
    settle_after: str = "1d"
    hints: tuple[Hint, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """What the kind decides where a profile does not, by the names of settings."""
        return {
            "base_url": self.base_url,
            "token_scope": self.token_scope,
            "auth": self.auth,
            "beta": self.beta,
            "params": self.params,
            "follow_agents": self.follows_agents,
            "settle_after": self.settle_after,
        }


_SWITCHED_OFF = Hint(
    404,
    "every thread is unknown there: OpenAI and Azure OpenAI switched their Assistants APIs off on 2026-08-26 and have"
    " answered 404 since. What still works: everything that was synced or dumped before (`import PATH...`"
    " loads JSON, JSONL and HAR archives), and the servers that still speak the protocol (kinds foundry,"
    " portkey, litellm, compatible)",
    if_all=True,
    hosts=("api.openai.com", ".openai.azure.com", ".cognitiveservices.azure.com"),
)
_SETTINGS = (
    Hint(
        400,
        'the setting is beta, such as beta = "assistants=v2" in the profile: it becomes the header OpenAI-Beta',
        (b"OpenAI-Beta", b"openai-beta", b"invalid_beta"),
    ),
    Hint(
        400,
        "the server does not take include[]: say --no-search-content, or include_content = false in the profile",
        (b"include[]", b'"param":"include', b'"param": "include'),
    ),
    Hint(
        400,
        'the setting is params, such as params = { api-version = "2024-05-01-preview" } in the profile',
        (b"api-version", b"MissingApiVersionParameter"),
    ),
)

_LITELLM_ROUTE = (
    "this is how LiteLLM answers on a route that it does not have: the protocol is only on its pass-through route,"
    " set the base URL to http://HOST:4000/openai/v1"
)
_LITELLM = (
    Hint(404, _LITELLM_ROUTE, (b'{"detail":"Not Found"}',)),
    # The list of runs has a native route, but only to start one (seen with 1.100.0).
    Hint(405, _LITELLM_ROUTE, (b'{"detail":"Method Not Allowed"}',)),
    Hint(400, "a LiteLLM proxy without a database knows only its master key: is this it?", (b"No connected db",)),
)
# Seen with LiteLLM 1.100.0 and 1.108.7: on the way through it, only assistants=v2 is put back.
_LOST_BETA = Hint(
    400,
    "this program sends OpenAI-Beta: agents=v1; a gateway may leave it out, as LiteLLM does: name the server itself",
    (b"OpenAI-Beta", b"invalid_beta"),
)
_EXPIRED = Hint(
    404,
    "a response that is not found may be too old: OpenAI keeps them for 30 days, and none made with store=false",
    (b"Response with id",),
)
_FAILURE = (b'"status":"failure"', b'"status": "failure"')
_GATEWAY = '{"status":"failure"} comes from the Portkey gateway itself, not from the server behind it: '
_PORTKEY = (
    Hint(
        400,
        _GATEWAY + "give one of the headers x-portkey-virtual-key, x-portkey-config or x-portkey-provider (with"
        " x-portkey-custom-host where you host the gateway yourself) in the profile's headers or headers_env",
        _FAILURE,
    ),
    Hint(
        401,
        _GATEWAY + "the hosted gateway wants its own key as x-portkey-api-key, one that you host yourself wants the"
        ' upstream\'s key (auth = "bearer")',
        _FAILURE,
    ),
    Hint(500, _GATEWAY + "look into its own log", _FAILURE),
    Hint(
        500,
        "the Portkey gateway does not reach the server behind it: x-portkey-custom-host must be that server's base URL"
        " as seen from the gateway, and end in /v1",
        (b"fetch failed",),
        is_json=False,
    ),
)
_PORTKEY_TEXT = Hint(
    500,
    "a text instead of JSON is how a Portkey gateway breaks itself: a plain npm install of 1.15 answers every call so,"
    " it needs hono 4.9.7, @hono/node-server 1.13.5 and @hono/node-ws 1.2.0",
    is_json=False,
)

# Said whatever the profile's kind: a gateway is often met under the kind of what stands behind it.
COMMON_HINTS = (*_LITELLM, *_PORTKEY, *_SETTINGS)

KINDS: dict[str, Kind] = {
    "openai": Kind(
        base_url_example=None,
        beta="assistants=v2",
        takes_openai_variables=True,
        hints=(_SWITCHED_OFF,),
    ),
    "azure-openai": Kind(
        base_url_example=None,
        auth="api-key",
        key_variable="AZURE_OPENAI_API_KEY",
        token_scope="https://cognitiveservices.azure.com/.default",
        params={"api-version": "2024-05-01-preview"},
        has_version=False,
        hints=(_SWITCHED_OFF,),
    ),
    "foundry": Kind(
        base_url_example="https://RESOURCE.services.ai.azure.com/api/projects/PROJECT",
        key_variable="AZURE_AI_TOKEN",
        token_scope="https://ai.azure.com/.default",
        params={"api-version": "v1"},
        follows_agents=True,
        has_version=False,
    ),
    "portkey": Kind(
        base_url="https://api.portkey.ai/v1",
        auth="x-portkey-api-key",
        key_variable="PORTKEY_API_KEY",
        beta="assistants=v2",
        hints=(*_PORTKEY, _PORTKEY_TEXT),
    ),
    "litellm": Kind(
        base_url="http://127.0.0.1:4000/openai/v1",
        key_variable="LITELLM_API_KEY",
        beta="assistants=v2",
    ),
    "compatible": Kind(key_required=False, takes_openai_variables=True),
    "foundry-responses": Kind(
        base_url_example="https://RESOURCE.services.ai.azure.com/api/projects/PROJECT/openai/v1",
        key_variable="AZURE_AI_TOKEN",
        token_scope="https://ai.azure.com/.default",
        protocol="responses",
    ),
    "responses": Kind(
        base_url_example="https://api.openai.com/v1",
        takes_openai_variables=True,
        protocol="responses",
        lists_threads=False,
        hints=(_EXPIRED,),
    ),
    "agents": Kind(
        base_url_example="https://api.openai.com/v1",
        beta="agents=v1",
        takes_openai_variables=True,
        protocol="agents",
        # What a turn used is recorded as well as can be, and may be corrected.
        settle_after="3d",
        hints=(_LOST_BETA,),
    ),
}


def auth_headers(auth: Auth, key: str | None) -> dict[str, str]:
    """The header that carries the key."""
    if key is None or auth == "none":
        return {}
    return {"Authorization": f"Bearer {key}"} if auth == "bearer" else {auth: key}


def find_hint(hints: Sequence[Hint], status: int, body: bytes) -> str | None:
    """The text of the first hint that fits one answer."""
    start = body[:_LOOKED_AT_BYTES]
    is_json = start.lstrip().startswith(b"{")
    for hint in hints:
        said = not hint.found or any(words in start for words in hint.found)
        if hint.status == status and said and hint.is_json in (None, is_json) and not hint.if_all:
            return hint.text
    return None


def hint_for_all(kind: Kind, base_url: str, status: int) -> str | None:
    """What it means that a server answers everything with this status."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    for hint in kind.hints:
        if hint.if_all and hint.status == status and any(host.endswith(end) for end in hint.hosts):
            return hint.text
    if status == _NOT_FOUND and kind.has_version and "v1" not in parts.path.split("/"):
        return f"the base URL has no /v1, which most servers of the protocol have: is it {base_url.rstrip('/')}/v1?"
    return None
