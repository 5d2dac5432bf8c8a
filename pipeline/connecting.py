"""Why no answer came: the step at which a connection failed and what helps; pure."""

import socket
import ssl
from dataclasses import dataclass
from typing import Literal

Step = Literal["name", "connection", "certificate", "tls", "proxy", "answer"]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The step that failed and its reason; `heals`: trying again may help; `hint`: what a person can do."""

    step: Step
    reason: str
    heals: bool = True
    hint: str | None = None


_CERTIFICATE_HINT = (
    "its certificate is always checked: if it comes from an authority of your own, name that authority's certificates"
    " in SSL_CERT_FILE (one PEM file) or SSL_CERT_DIR; if not, somebody may be listening in"
)
_TLS_HINT = "does this port speak https? A base URL for plain http begins with http://"
_NAME_HINT = "look at the base URL, at the network, or, where there is a proxy, at HTTPS_PROXY and NO_PROXY"
_PROXY_HINT = "the proxy comes from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY in the environment; NO_PROXY leaves hosts out"


def explain_failure(error: BaseException) -> Unanswered:
    """What went wrong below HTTP, told from an error and its causes, without the URL that libraries put into them."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    # The innermost first: the library's own errors derive from those of ssl without having their fields.
    for cause in reversed(causes):
        if (known := _known(cause)) is not None:
            return known
    last = causes[-1]
    detail = last.strerror if isinstance(last, OSError) and last.strerror else type(last).__name__
    is_open = any(type(cause).__name__ in _AFTER_CONNECTING for cause in causes)
    return Unanswered("answer" if is_open else "connection", f"no answer ({detail})")


# By name: only the client may know the library that they belong to.
_AFTER_CONNECTING = ("SocketTimeoutError", "ServerDisconnectedError", "ClientPayloadError", "ConnectionResetError")


def _known(error: BaseException) -> Unanswered | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        return Unanswered(
            "certificate", f"no answer (its certificate is refused: {reason})", heals=False, hint=_CERTIFICATE_HINT
        )
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or type(error).__name__).lower().replace("_", " ")
        return Unanswered("tls", f"no answer (no TLS: {reason})", hint=_TLS_HINT)
    if isinstance(error, socket.gaierror):
        return Unanswered("name", f"no answer ({error.strerror})", hint=_NAME_HINT)
    if type(error).__name__ == "ClientHttpProxyError":
        status = getattr(error, "status", None)
        return Unanswered("proxy", f"no answer (the proxy says {status})", heals=status != 407, hint=_PROXY_HINT)
    if type(error).__name__ == "ClientProxyConnectionError":
        return Unanswered("proxy", "no answer (the proxy cannot be reached)", hint=_PROXY_HINT)
    return None
