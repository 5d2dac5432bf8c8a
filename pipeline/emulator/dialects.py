"""How servers of the same protocol differ in what they demand of a request."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.emulator.exchange import RefusedRequestError

DialectName = Literal["openai", "azure", "foundry", "plain"]
AuthStyle = Literal["bearer", "api-key", "none"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a kind of server asks for and offers."""

    lists_threads: bool
    needs_beta_header: bool
    needs_api_version: bool


DIALECTS: Final[Mapping[DialectName, Dialect]] = {
    "openai": Dialect(lists_threads=False, needs_beta_header=True, needs_api_version=False),
    "azure": Dialect(lists_threads=False, needs_beta_header=False, needs_api_version=True),
    "foundry": Dialect(lists_threads=True, needs_beta_header=False, needs_api_version=True),
    "plain": Dialect(lists_threads=True, needs_beta_header=False, needs_api_version=False),
}


def check_key(headers: Mapping[str, str], auth: AuthStyle, api_key: str) -> None:
    """Refuse a request without the right key, in the words of the real server."""
    if auth == "none":
        return
    sent = headers.get("api-key", "")
    if auth == "bearer":
        scheme, _, sent = headers.get("Authorization", "").partition(" ")
        sent = sent if scheme.lower() == "bearer" else ""
    if not sent:
        raise RefusedRequestError(401, "You didn't provide an API key.", code="invalid_api_key")
    if not hmac.compare_digest(sent.encode(), api_key.encode()):
        raise RefusedRequestError(401, "Incorrect API key provided.", code="invalid_api_key")


def check_dialect(headers: Mapping[str, str], query: Mapping[str, str], dialect: Dialect) -> None:
    """Refuse a request that lacks what this kind of server demands."""
    if dialect.needs_beta_header and not headers.get("OpenAI-Beta", "").startswith("assistants="):
        message = (
            "You must provide the 'OpenAI-Beta' header to access the Assistants API. "
            "Please try again by setting the header 'OpenAI-Beta: assistants=v2'."
        )
        raise RefusedRequestError(400, message, code="invalid_beta")
    if dialect.needs_api_version and not query.get("api-version"):
        message = "The api-version query parameter is required."
        raise RefusedRequestError(400, message, param="api-version", code="MissingApiVersionParameter")
