"""The way of every request: httpx's interface over one aiohttp session, TLS verified, proxies from the environment."""

import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions
from multidict import CIMultiDict
from yarl import URL

from pipeline.endpoint import Endpoint, is_loopback
from pipeline.errors import ConfigurationError

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=30.0)
_KEEPALIVE_S = 60.0


class _Body(httpx.AsyncByteStream):
    """The body as it arrives; what a server has packed stays packed."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._answer.content.readany():
                yield chunk
        except Exception:
            with map_aiohttp_exceptions():
                raise

    async def aclose(self) -> None:
        self._answer.release()


class TargetRequest(httpx.Request):
    """Like another request but for its `target`, all that follows the host; what they have in common is read once.

    They share one object of headers: who wants others gives the request a copy of its own.
    """

    def __init__(self, common: httpx.Request, target: str) -> None:
        self.__dict__.update(common.__dict__)
        self.extensions = {"target": target.encode()}


class _GetTransport(AiohttpTransport):
    """The transport for GETs alone: what every request has in common is made once, see docs/performance.md."""

    _headers: httpx.Headers | None = None
    _own_headers: CIMultiDict[str]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        try:
            answer = await self.client.get(
                _url_of(request), headers=self._headers_of(request), allow_redirects=False, **self._proxying
            )
        except Exception:
            with map_aiohttp_exceptions():
                raise
        response = httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request)
        # Else httpx tries all headers with one encoding after another; this one reads everything.
        response.headers.encoding = "latin-1"
        return response

    def _headers_of(self, request: httpx.Request) -> CIMultiDict[str]:
        """As aiohttp takes them; most requests share one object of headers."""
        if self._headers is not request.headers:
            self._headers, self._own_headers = request.headers, CIMultiDict(request.headers.multi_items())
        return self._own_headers

    @property
    def _proxying(self) -> dict[str, Any]:
        if self.proxy is None:
            return {}
        auth = aiohttp.BasicAuth(*self.proxy.auth) if self.proxy.auth else None
        return {"proxy": str(self.proxy.url), "proxy_auth": auth, "proxy_headers": self.proxy.headers}


def _url_of(request: httpx.Request) -> URL:
    """What to ask for; it is escaped already. The extension `target` stands for all that follows the host."""
    target: bytes | None = request.extensions.get("target")
    if target is None:
        return URL(str(request.url), encoded=True)
    path, _, query = target.decode().partition("?")
    origin = request.url
    return URL.build(
        scheme=origin.scheme, authority=origin.netloc.decode(), path=path, query_string=query, encoded=True
    )


def open_transport(endpoint: Endpoint) -> httpx.AsyncBaseTransport:
    """The transport for an endpoint: TLS verified, proxies and CA bundle from the usual environment variables.

    Raises ConfigurationError if that bundle cannot be read.
    """
    try:
        context: ssl.SSLContext = httpx.create_ssl_context()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR name cannot be read ({reason})"
        ) from error

    def open_session() -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context, keepalive_timeout=_KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_TIMEOUT,
            # httpx unpacks.
            auto_decompress=False,
        )
        # aiohttp would ask once more by itself where a connection ends: uncounted, at once, past the pacer.
        session._retry_connection = False
        return session

    proxy_url = find_proxy(endpoint.base_url)
    return _GetTransport(verify=context, client=open_session, proxy=httpx.Proxy(proxy_url) if proxy_url else None)


def find_proxy(base_url: str) -> str | None:
    """The proxy that the environment names for this URL; none for loopback."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
