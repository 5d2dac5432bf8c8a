"""Where a server is and what every request to it carries; pure."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from pipeline.errors import ConfigurationError
from pipeline.protocol.kinds import Hint
from pipeline.protocol.list_heads import ListReader

# A URL normaliser along the way would take these for folders, whatever the escaping.
# Ids as the protocol's own servers make them; others may call a thread what they like.
_OF_OTHERS = re.compile(r"(run|step|asst|msg)_[A-Za-z0-9]{12,}")
_OBJECTS = {"run": "a run", "step": "a run step", "asst": "an assistant", "msg": "a message"}
_FOLDER_NAMES = frozenset({"", ".", ".."})
# Surrogates are what arguments that are not UTF-8 arrive as.
_UNUSABLE = re.compile("[\x00-\x1f\ud800-\udfff]")
# What httpx takes; servers and proxies take less.
_LONGEST_URL = 65_536


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server: `headers` hold the credentials and are never shown, `params` go with every request.

    Errors repeat none of the `secrets`, and what the server sends none of the `keys`.
    `hints` explain what it may answer. `whole_lists`: it is known to answer lists whole, if it has no cursors;
    `odd_fields`: what it says of lists, or of what is in them, and means nothing.
    """

    base_url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)
    timeout_s: float = 60.0
    plain_http_hosts: frozenset[str] = frozenset()
    hints: tuple[Hint, ...] = ()
    # Whether errors may repeat what the server says of them: it may repeat what it was told.
    quotes_server: bool = True
    whole_lists: bool = False
    odd_fields: frozenset[str] = frozenset()

    def list_reader(self) -> ListReader:
        """How its lists are read."""
        return ListReader(self.odd_fields, quotes=self.quotes_server)

    def url(self, segments: Sequence[str], params: Sequence[tuple[str, str]] = ()) -> str:
        """The URL of a resource; each segment is escaped as one. Raises ValueError for a folder, or too long."""
        if not _FOLDER_NAMES.isdisjoint(segments):
            raise ValueError("an empty name, a dot or two dots")
        query = _query((*self.params, *params))
        url = f"{self.base_url}{self.path(segments)}" + (f"?{query}" if query else "")
        if len(url) > _LONGEST_URL:
            raise ValueError(f"{len(url):,} characters, {_LONGEST_URL:,} at most")
        return url

    @staticmethod
    def path(segments: Sequence[str]) -> str:
        """The path below the base URL: what errors and logs may show."""
        return "".join([f"/{_escape(segment)}" for segment in segments])

    def redact(self, text: str) -> str:
        """The text without any secret of this endpoint."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "[secret]")
        return text


# The names of lists, and the thread whose runs are walked.
@lru_cache(maxsize=1024)
def _escape(segment: str) -> str:
    return quote(segment, safe="")


# Most lists are one page: the same few queries again and again.
@lru_cache(maxsize=64)
def _query(params: tuple[tuple[str, str], ...]) -> str:
    return urlencode(params, quote_via=quote)


def check_base_url(base_url: str, *, plain_http_hosts: frozenset[str]) -> str:
    """The base URL without a slash at its end, its scheme in lower case.

    Raises ConfigurationError if it is no http(s) URL, holds a user name, a query or a fragment, or would carry
    the key over plain http to a host that is neither loopback nor allowed by name.
    """
    base_url = base_url.strip()
    parts = _split_url(base_url)
    host = (parts.hostname if parts else None) or ""
    if parts is None or parts.scheme not in ("http", "https") or not host:
        # Not shown: people paste keys into the wrong place.
        raise ConfigurationError("the base URL is not an http(s) URL: write it like https://HOST/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            f"the base URL for {host} must not hold a user name, a query or a fragment: put the key into the"
            " environment and fixed parameters into the profile's `params`"
        )
    if parts.scheme == "http" and not is_loopback(host) and host not in map(str.lower, plain_http_hosts):
        raise ConfigurationError(
            f"the base URL for {host} is plain http, the key would be readable on the way: use https,"
            f' or allow it by name with plain_http_hosts = ["{host}"] in the profile or --allow-http {host}'
        )
    return parts.scheme + base_url[len(parts.scheme) :].rstrip("/")


def _split_url(url: str) -> SplitResult | None:
    """The URL's parts; None if a host or port cannot be read from it or white space is in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return None if any(sign.isspace() or sign < " " for sign in url) else parts


def hide_credentials(base_url: str) -> str:
    """The URL without user name, password, query and fragment, to be shown."""
    parts = _split_url(base_url)
    if parts is None:
        return "(no URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers. Raises ConfigurationError naming one that no request can carry."""
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(
                f"the header {name} would hold line ends or signs beyond ASCII: look at where its value comes from"
            )
    return headers


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_thread_id(value: str, *, where: str) -> str:
    """The id, if it can be one of a thread; else ConfigurationError naming where it came from and what it is."""
    if (found := _OF_OTHERS.fullmatch(value)) is not None:
        raise ConfigurationError(
            f"{where}: {value} is the id of {_OBJECTS[found[1]]}, and a sync takes ids of threads (thread_...):"
            " name the thread that it belongs to"
        )
    return check_id(value, where=where)


def check_id(value: str, *, where: str) -> str:
    """The id, if it can be one segment of a path; else ConfigurationError naming where it came from."""
    if value in _FOLDER_NAMES or _UNUSABLE.search(value):
        raise ConfigurationError(f"{where}: {value!r} cannot be a thread id")
    return value
