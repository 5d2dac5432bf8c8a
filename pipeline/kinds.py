"""The servers that speak the protocol, as data: where they are, how they authenticate, what they want with each request."""

from dataclasses import dataclass, field
from typing import Literal

Auth = Literal["bearer", "api-key", "x-portkey-api-key", "none"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of server. `key_required` False: a key is sent only if there is one."""

    base_url: str | None = None
    auth: Auth = "bearer"
    key_required: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    beta: str | None = None


KINDS: dict[str, Kind] = {
    "openai": Kind(beta="assistants=v2"),
    "azure-openai": Kind(auth="api-key", params={"api-version": "2024-05-01-preview"}),
    "foundry": Kind(params={"api-version": "v1"}),
    "portkey": Kind(base_url="https://api.portkey.ai/v1", auth="x-portkey-api-key", beta="assistants=v2"),
    "litellm": Kind(base_url="http://127.0.0.1:4000/openai/v1", beta="assistants=v2"),
    "compatible": Kind(key_required=False),
}


def auth_headers(auth: Auth, key: str | None) -> dict[str, str]:
    """The header that carries the key."""
    if key is None or auth == "none":
        return {}
    return {"Authorization": f"Bearer {key}"} if auth == "bearer" else {auth: key}
