"""Why no answer came: the step at which a connection failed and what helps; pure."""

import os
from dataclasses import dataclass
from typing import Literal

import pycurl

Step = Literal["name", "connection", "certificate", "tls", "proxy", "answer"]
# Where a request that fails there has not come to a server.
UNREACHED = frozenset({"name", "connection"})


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The step that failed and its reason; `heals`: trying again may help; `hint`: what a person can do."""

    step: Step
    reason: str
    heals: bool = True
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class CurlFailure:
    """How libcurl ended a request without an answer: its code and text, and the error of the system behind it.

    `asked`: the request was on its way. `proxy`: the scheme of the proxy, if there is one.
    `proxy_status`: what a proxy answered that was asked for a tunnel, else 0.
    """

    code: int
    text: str = ""
    errno: int = 0
    asked: bool = False
    proxy: str = ""
    proxy_status: int = 0


_CERTIFICATE_HINT = (
    "its certificate is always checked: if it comes from an authority of your own, name that authority's certificates"
    " in SSL_CERT_FILE (one PEM file) or SSL_CERT_DIR; if not, somebody may be listening in"
)
_TLS_HINT = "does this port speak https? A base URL for plain http begins with http://"
_NAME_HINT = "look at the base URL, at the network, or, where there is a proxy, at HTTPS_PROXY and NO_PROXY"
_PROXY_HINT = "the proxy comes from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY in the environment; NO_PROXY leaves hosts out"
_CERTIFICATE_CODES = frozenset(
    {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_ISSUER_ERROR, pycurl.E_SSL_INVALIDCERTSTATUS}
)
_TLS_CODES = frozenset({pycurl.E_SSL_CONNECT_ERROR, pycurl.E_SSL_CIPHER})
_SYSTEM_CODES = frozenset({pycurl.E_COULDNT_CONNECT, pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR})
_NO_PROXY_CODES = frozenset({pycurl.E_COULDNT_RESOLVE_PROXY, pycurl.E_COULDNT_CONNECT})
# CURLE_PROXY, for which pycurl has no name: a SOCKS proxy refused or broke off.
_E_PROXY = 97
# Text of our own where libcurl's names hosts, ports or bytes.
_REASONS = {
    pycurl.E_COULDNT_CONNECT: "the connection failed",
    # The client bounds an answer itself, so only connecting has a time of libcurl's.
    pycurl.E_OPERATION_TIMEDOUT: "no connection within the time",
    pycurl.E_GOT_NOTHING: "the server ended the connection",
    # Where it would have asked a second time, on another connection.
    pycurl.E_ABORTED_BY_CALLBACK: "the server ended the connection",
    pycurl.E_PARTIAL_FILE: "it broke off",
    pycurl.E_RECV_ERROR: "it broke off",
    pycurl.E_SEND_ERROR: "the connection broke off",
    pycurl.E_UNSUPPORTED_PROTOCOL: "what came is no HTTP",
    # The weird reply of any server: the name is from FTP.
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "what came is no HTTP",
    pycurl.E_URL_MALFORMAT: "nobody can be asked for such a URL",
}


def explain_failure(error: BaseException) -> Unanswered:
    """What went wrong below HTTP, without the URL that libraries put into their errors."""
    failure = getattr(error, "failure", None)
    if isinstance(failure, Unanswered):
        return failure
    return Unanswered("connection", f"no answer ({type(error).__name__})")


def explain_curl(failure: CurlFailure) -> Unanswered:
    """What went wrong, told by libcurl's code; of its texts only those of TLS, which name no more than the host."""
    at_proxy = _ends_at_proxy(failure)
    if failure.code in _CERTIFICATE_CODES:
        whose = "the proxy's" if at_proxy else "its"
        reason = failure.text.removeprefix("SSL certificate problem: ").removeprefix("SSL: ").rstrip(".")
        return Unanswered(
            "certificate", f"no answer ({whose} certificate is refused: {reason})", heals=False, hint=_CERTIFICATE_HINT
        )
    if failure.code in _TLS_CODES:
        reason = failure.text.rpartition(":")[2].strip()
        if at_proxy:
            return Unanswered("proxy", f"no answer (no TLS with the proxy: {reason})", hint=_PROXY_HINT)
        return Unanswered("tls", f"no answer (no TLS: {reason})", hint=_TLS_HINT)
    if failure.code == pycurl.E_COULDNT_RESOLVE_HOST:
        return Unanswered("name", "no answer (its name is not known)", hint=_NAME_HINT)
    if failure.proxy_status >= 300:
        said = f"no answer (the proxy says {failure.proxy_status})"
        return Unanswered("proxy", said, heals=failure.proxy_status != 407, hint=_PROXY_HINT)
    if failure.code == _E_PROXY:
        return Unanswered("proxy", "no answer (the proxy does not connect)", hint=_PROXY_HINT)
    if at_proxy:
        return Unanswered("proxy", "no answer (the proxy cannot be reached)", hint=_PROXY_HINT)
    return Unanswered("answer" if failure.asked else "connection", f"no answer ({_reason(failure)})")


def _ends_at_proxy(failure: CurlFailure) -> bool:
    """Whether it failed before the proxy led anywhere; SOCKS has no status that would tell."""
    if failure.proxy.startswith("socks"):
        return failure.code in _NO_PROXY_CODES
    of_tls = failure.code in _CERTIFICATE_CODES | _TLS_CODES
    return (
        bool(failure.proxy)
        and not failure.asked
        and not failure.proxy_status
        and (failure.proxy == "https" or not of_tls)
    )


def _reason(failure: CurlFailure) -> str:
    if failure.errno and failure.code in _SYSTEM_CODES:
        return os.strerror(failure.errno)
    return _REASONS.get(failure.code, f"libcurl's error {failure.code}")
