"""The way of every request: httpx's interface over libcurl, TLS verified, proxies from the environment."""

import os
import re
import ssl
from collections.abc import Mapping
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import httpx
import pycurl

from pipeline.errors import ConfigurationError
from pipeline.http.connection_faults import Unanswered
from pipeline.http.libcurl import Exchange, NoAnswerError
from pipeline.protocol.endpoint import Endpoint, is_loopback

_CONNECT_S = 10
# Many servers end idle connections after 5 s; libcurl looks after them once a second.
_KEEPALIVE_S = 3
# More than any --concurrency: a connection is not given up because others are idle.
_MOST_CONNECTIONS = 2048
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAK = re.compile(rb"[\r\n\0]")


class TargetRequest(httpx.Request):
    """Like another request but for its `target`, all that follows the host; what they have in common is read once.

    They share one object of headers: who wants others gives the request a copy of its own.
    """

    def __init__(self, common: httpx.Request, target: str) -> None:
        self.__dict__.update(common.__dict__)
        self.extensions = {"target": target.encode()}


class CurlTransport(httpx.AsyncBaseTransport):
    """The transport for GETs alone, which follows nothing and repeats nothing; for one event loop.

    `options` are what all requests ask of libcurl.
    """

    def __init__(self, options: Mapping[int, Any]) -> None:
        self._options = options
        self._proxy = _scheme_of(options[pycurl.PROXY])
        self._multi = pycurl.AsyncCurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, _MOST_CONNECTIONS)
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_NOTHING)
        # Each with the headers that it was given last.
        self._idle: list[tuple[pycurl.Curl, list[bytes]]] = []
        # Most requests share one object of headers, and one of the URL that theirs begin with.
        self._headers: httpx.Headers | None = None
        self._lines: list[bytes] = []
        self._url: httpx.URL | None = None
        self._origin = b""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        lines, url = self._lines_of(request), self._url_of(request)
        curl = self._take_handle(lines)
        curl.setopt(pycurl.URL, url)
        release = partial(self._idle.append, (curl, lines))
        exchange = Exchange(self._multi, curl, proxy=self._proxy, release=release)
        status, headers = await exchange.read_head()
        response = httpx.Response(status, headers=headers, stream=exchange, request=request)
        # Else httpx tries all headers with one encoding after another; this one reads everything.
        response.headers.encoding = "latin-1"
        return response

    async def aclose(self) -> None:
        await self._multi.aclose()
        while self._idle:
            self._idle.pop()[0].close()

    def _take_handle(self, lines: list[bytes]) -> pycurl.Curl:
        curl, given = self._idle.pop() if self._idle else (self._open_handle(), None)
        if given is not lines:
            curl.setopt(pycurl.HTTPHEADER, lines)
        return curl

    def _open_handle(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        for option, value in self._options.items():
            if value is None:
                curl.unsetopt(option)
            else:
                curl.setopt(option, value)
        return curl

    def _lines_of(self, request: httpx.Request) -> list[bytes]:
        if self._headers is not request.headers:
            self._headers, self._lines = request.headers, _write_headers(request.headers)
        return self._lines

    def _url_of(self, request: httpx.Request) -> bytes:
        """What to ask for; it is escaped already. The extension `target` stands for all that follows the host."""
        target: bytes | None = request.extensions.get("target")
        if self._url is not request.url:
            self._url = request.url
            self._origin = request.url.scheme.encode() + b"://" + request.url.netloc
        return self._origin + (request.url.raw_path if target is None else target)


def _write_headers(headers: httpx.Headers) -> list[bytes]:
    """As libcurl takes them: it would send a line break as it is, and leave out what is empty but for this sign."""
    for name, value in headers.raw:
        if not _NAME.fullmatch(name) or _BREAK.search(value):
            said = name.decode("latin-1") if _NAME.fullmatch(name) else "one"
            raise NoAnswerError(
                Unanswered("connection", f"not asked: no header can be written like this ({said})", heals=False)
            )
    return [name + (b": " + value if value.strip() else b";") for name, value in headers.raw]


def open_transport(endpoint: Endpoint) -> httpx.AsyncBaseTransport:
    """The transport for an endpoint: TLS verified, proxies and CA bundle from the usual environment variables.

    Raises ConfigurationError if that bundle cannot be read.
    """
    # In bytes: pycurl takes text in ASCII alone.
    trusted_file, trusted_folder = (os.fsencode(path) if path else None for path in _find_trusted())
    return CurlTransport(
        {
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.FOLLOWLOCATION: False,
            pycurl.PATH_AS_IS: True,
            pycurl.NOSIGNAL: True,
            pycurl.USERAGENT: "",
            pycurl.CONNECTTIMEOUT: _CONNECT_S,
            pycurl.MAXAGE_CONN: _KEEPALIVE_S,
            pycurl.SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
            pycurl.SSL_VERIFYPEER: True,
            pycurl.SSL_VERIFYHOST: 2,
            pycurl.CAINFO: trusted_file,
            pycurl.CAPATH: trusted_folder,
            pycurl.PROXY_SSL_VERIFYPEER: True,
            pycurl.PROXY_SSL_VERIFYHOST: 2,
            pycurl.PROXY_CAINFO: trusted_file,
            pycurl.PROXY_CAPATH: trusted_folder,
            # Empty, libcurl would else look into the environment itself.
            pycurl.PROXY: os.fsencode(find_proxy(endpoint.base_url) or ""),
            pycurl.NOPROXY: "",
            # A proxy is not told what the server is told.
            pycurl.HEADEROPT: pycurl.HEADER_SEPARATE,
        }
    )


def _scheme_of(proxy: bytes) -> str:
    """The scheme of a proxy, http where it has none, empty where there is no proxy."""
    scheme, found, _ = proxy.decode("latin-1").lower().partition("://")
    return (scheme if found else "http") if proxy else ""


def _find_trusted() -> tuple[str | None, str | None]:
    """The file or the folder of the authorities that we trust: what the environment names, else certifi's."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        return certifi.where(), None
    file, folder = (file, None) if file else (None, folder)
    _check_trusted(file, folder)
    return file, folder


@cache
def _check_trusted(file: str | None, folder: str | None) -> None:
    """Once for all connections: to read them takes longer than a request."""
    try:
        ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR name cannot be read ({reason})"
        ) from error


def find_proxy(base_url: str) -> str | None:
    """The proxy that the environment names for this URL; none for loopback."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
