"""Where a server is and what every request to it carries; pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from pipeline.errors import ConfigurationError

# A URL normaliser along the way would take these for folders, whatever the escaping.
_FOLDER_NAMES = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server: `headers` hold the credentials and are never shown, `params` go with every request."""

    base_url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    params: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout_s: float = 60.0
    plain_http_hosts: frozenset[str] = frozenset()

    def url(self, segments: Sequence[str], params: Sequence[tuple[str, str]] = ()) -> str:
        """The URL of a resource; each segment is escaped as one."""
        query = urlencode([*self.params, *params], quote_via=quote)
        return f"{self.base_url}{self.path(segments)}" + (f"?{query}" if query else "")

    @staticmethod
    def path(segments: Sequence[str]) -> str:
        """The path below the base URL: what errors and logs may show."""
        return "".join(f"/{quote(segment, safe='')}" for segment in segments)

    def redact(self, text: str) -> str:
        """The text without any secret of this endpoint."""
        for secret in self.secrets:
            text = text.replace(secret, "[secret]")
        return text


def check_base_url(base_url: str, *, plain_http_hosts: frozenset[str]) -> str:
    """The base URL without a slash at its end.

    Raises ConfigurationError if it is no http(s) URL, holds a user name, a query or a fragment, or would carry
    the key over plain http to a host that is neither loopback nor allowed by name.
    """
    parts = urlsplit(base_url.strip())
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"the base URL {base_url!r} is not an http(s) URL: write it like https://HOST/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            f"the base URL for {host} must not hold a user name, a query or a fragment: put the key into the environment"
            " and fixed parameters into the profile's `params`"
        )
    if parts.scheme == "http" and not is_loopback(host) and host not in plain_http_hosts:
        raise ConfigurationError(
            f"the base URL for {host} is plain http, the key would be readable on the way: use https,"
            f' or allow it by name with plain_http_hosts = ["{host}"] in the profile or --allow-http {host}'
        )
    return base_url.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_id(value: str, *, where: str) -> str:
    """The id, if it can be one segment of a path; else ConfigurationError naming where it came from."""
    if value in _FOLDER_NAMES or any(ord(sign) < 0x20 for sign in value):
        raise ConfigurationError(f"{where}: {value!r} cannot be a thread id")
    return value
