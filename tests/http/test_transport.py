"""Whom we trust on the way: certificates, authorities of one's own, and proxies, over real TLS on loopback."""

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from pipeline.errors import RequestError, UnreachedError, WalkError
from pipeline.extract.protocols import list_thread_ids
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from tests.fake_clock import FakeClock
from tests.scripted_server import OK, reply

THREADS = ("threads",)
KEY = "marker-key"
HOST = "api.test.invalid"


@dataclass
class TlsServer:
    """Answers every request OK over TLS with one certificate, and notes the head of each."""

    certificate: trustme.LeafCert
    answer: bytes = OK
    heads: list[bytes] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["TlsServer"]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.certificate.configure_cert(context)
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@dataclass
class Tunnel:
    """A proxy that connects every CONNECT to one port of this machine, and notes all that it can read."""

    port: int = 0
    to_port: int = 0
    read: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Tunnel"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.read.append(await reader.readuntil(b"\r\n\r\n"))
        if not self.to_port:
            writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()
            return
        beyond_reader, beyond_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(self._pass_on(reader, beyond_writer), self._pass_on(beyond_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.read.append(data)
                writer.write(data)
        except OSError:
            pass
        writer.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


async def get(base_url: str) -> tuple[str, int]:
    """What one GET came to, an empty text if it was answered, and how often it was asked."""
    endpoint = Endpoint(base_url, {"Authorization": f"Bearer {KEY}"}, secrets=(KEY,))
    async with ApiClient(endpoint, Pacer(concurrency=1), clock=FakeClock().clock()) as client:
        try:
            await client.get(THREADS, decode=lambda body: body)
        except UnreachedError as error:
            return str(error), client.traffic.requests
        except RequestError as error:
            return f"{error} ({error.hint})", client.traffic.requests
        return "", client.traffic.requests


def ask(server: TlsServer) -> tuple[str, int]:
    async def run() -> tuple[str, int]:
        async with server.running():
            return await get(f"https://127.0.0.1:{server.port}/v1")

    return asyncio.run(run())


def name_file(authority: trustme.CA, folder: Path, environ: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    environ.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))


def name_folder(authority: trustme.CA, folder: Path, environ: pytest.MonkeyPatch) -> None:
    """Such a folder finds certificates by names that OpenSSL makes from their subjects (`openssl rehash`)."""
    pem = authority.cert_pem.bytes()
    authority.cert_pem.write_to_path(str(folder / f"{hash_subject(ssl.PEM_cert_to_DER_cert(pem.decode()))}.0"))
    environ.setenv("SSL_CERT_DIR", str(folder))


def hash_subject(certificate: bytes) -> str:
    """The subject's name as X509_NAME_hash has it: SHA-1 of its parts in lower case, the first four bytes reversed."""
    from cryptography import x509

    parts = b""
    for part in x509.load_der_x509_certificate(certificate).subject.rdns:
        [attribute] = part
        oid = x509.Name([attribute]).public_bytes()
        # SEQUENCE { SET { SEQUENCE { OID, text } } }: all lengths here are below 128.
        oid = oid[6 : 6 + 2 + oid[7]]
        text = " ".join(str(attribute.value).lower().split()).encode()
        inner = oid + bytes([0x0C, len(text)]) + text
        pair = bytes([0x30, len(inner)]) + inner
        parts += bytes([0x31, len(pair)]) + pair
    return hashlib.sha1(parts, usedforsecurity=False).digest()[3::-1].hex()


# --- certificates ---------------------------------------------------------------------------------------------------


def test_a_certificate_of_an_unknown_authority_is_refused_at_once_with_what_to_do(authority: trustme.CA) -> None:
    server = TlsServer(authority.issue_cert("127.0.0.1"))

    message, requests = ask(server)

    assert message.startswith("/threads: no answer (its certificate is refused: ")
    assert "SSL_CERT_FILE" in message
    assert (requests, server.heads) == (1, [])


@pytest.mark.parametrize("name", ["trusted", "Zertifikäte"])
@pytest.mark.parametrize("trust", [name_file, name_folder], ids=["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_an_authority_that_the_environment_names_is_trusted(
    authority: trustme.CA,
    tmp_path: Path,
    bare: pytest.MonkeyPatch,
    trust: Callable[[trustme.CA, Path, pytest.MonkeyPatch], None],
    name: str,
) -> None:
    (tmp_path / name).mkdir()
    trust(authority, tmp_path / name, bare)
    server = TlsServer(authority.issue_cert("127.0.0.1"))

    message, _ = ask(server)

    assert message == ""
    assert KEY.encode() in server.heads[0]


def test_a_certificate_for_another_name_is_refused_whoever_issued_it(
    authority: trustme.CA, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    name_file(authority, tmp_path, bare)
    server = TlsServer(authority.issue_cert("other.test.invalid"))

    message, _ = ask(server)

    assert "its certificate is refused" in message
    assert server.heads == []


def test_a_server_without_tls_behind_an_https_url_is_named() -> None:
    async def run() -> str:
        plain = await asyncio.start_server(lambda _, writer: writer.write(OK), "127.0.0.1", 0)
        async with plain:
            message, _ = await get(f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}/v1")
            return message

    message = asyncio.run(run())

    assert message.startswith("/threads: no answer (no TLS: ")
    assert "http://" in message


# --- proxies --------------------------------------------------------------------------------------------------------


def ask_through(tunnel: Tunnel, server: TlsServer, environ: pytest.MonkeyPatch, user: str = "") -> str:
    """A request to HOST, a name that leads nowhere, so that only the proxy can answer it."""

    async def run() -> str:
        async with server.running(), tunnel.running():
            tunnel.to_port = tunnel.to_port and server.port
            environ.setenv("HTTPS_PROXY", f"http://{user}127.0.0.1:{tunnel.port}")
            message, _ = await get(f"https://{HOST}/v1")
            return message

    return asyncio.run(run())


def test_an_https_request_goes_through_the_proxy_which_cannot_read_the_key(
    authority: trustme.CA, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    name_file(authority, tmp_path, bare)
    server, tunnel = TlsServer(authority.issue_cert(HOST)), Tunnel(to_port=1)

    message = ask_through(tunnel, server, bare)

    assert message == ""
    assert tunnel.read[0].startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n".encode())
    assert KEY.encode() in server.heads[0]
    assert KEY.encode() not in b"".join(tunnel.read)


def test_the_certificate_is_checked_behind_a_proxy_too(
    authority: trustme.CA, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    name_file(authority, tmp_path, bare)
    server = TlsServer(authority.issue_cert("other.test.invalid"))

    message = ask_through(Tunnel(to_port=1), server, bare)

    assert "its certificate is refused" in message
    assert server.heads == []


def test_a_proxy_that_refuses_is_named_as_the_proxy(authority: trustme.CA, bare: pytest.MonkeyPatch) -> None:
    message = ask_through(Tunnel(), TlsServer(authority.issue_cert(HOST)), bare)

    assert message.startswith("/threads: no answer (the proxy says 407)")
    assert "HTTPS_PROXY" in message


def test_a_proxy_that_cannot_be_reached_is_named_as_the_proxy(bare: pytest.MonkeyPatch) -> None:
    async def run() -> str:
        async with Tunnel().running() as tunnel:
            pass
        bare.setenv("HTTPS_PROXY", f"http://127.0.0.1:{tunnel.port}")
        message, _ = await get(f"https://{HOST}/v1")
        return message

    message = asyncio.run(run())

    assert message.startswith("/threads: no answer (the proxy cannot be reached)")
    assert "HTTPS_PROXY" in message


def test_a_proxy_whose_own_certificate_is_refused_is_named_as_the_proxy(
    authority: trustme.CA, bare: pytest.MonkeyPatch
) -> None:
    async def run() -> str:
        async with TlsServer(authority.issue_cert("127.0.0.1")).running() as proxy:
            bare.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
            message, _ = await get(f"https://{HOST}/v1")
            return message

    assert asyncio.run(run()).startswith("/threads: no answer (the proxy's certificate is refused: ")


def test_a_proxy_without_tls_behind_an_https_url_is_named_as_the_proxy(bare: pytest.MonkeyPatch) -> None:
    async def run() -> str:
        proxy = await asyncio.start_server(lambda _, writer: writer.write(OK), "127.0.0.1", 0)
        async with proxy:
            bare.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
            message, _ = await get(f"https://{HOST}/v1")
            return message

    assert asyncio.run(run()).startswith("/threads: no answer (no TLS with the proxy: ")


@pytest.mark.parametrize(
    "granted, said", [(True, "its certificate is refused: "), (False, "the proxy does not connect)")]
)
def test_behind_a_socks_proxy_the_one_who_failed_is_named(
    authority: trustme.CA, bare: pytest.MonkeyPatch, granted: bool, said: str
) -> None:
    server = TlsServer(authority.issue_cert(HOST))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly(2)
        await reader.readexactly(methods[1])
        writer.write(b"\5\0")
        asked = await reader.readexactly(5)
        await reader.readexactly(asked[4] + 2)
        writer.write(b"\5" + (b"\0" if granted else b"\5") + b"\0\1" + bytes(6))
        if granted:
            beyond_reader, beyond_writer = await asyncio.open_connection("127.0.0.1", server.port)
            pass_on = Tunnel()._pass_on
            await asyncio.gather(pass_on(reader, beyond_writer), pass_on(beyond_reader, writer))
        writer.close()

    async def run() -> str:
        proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server.running(), proxy:
            bare.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
            message, _ = await get(f"https://{HOST}/v1")
            return message

    assert asyncio.run(run()).startswith(f"/threads: no answer ({said}")


@pytest.mark.parametrize("user, said", [("me:p%40ss@", "me:p@ss"), ("me:pässe@", "me:pässe")])
def test_a_proxy_gets_its_own_name_and_password_and_the_server_does_not(
    authority: trustme.CA, tmp_path: Path, bare: pytest.MonkeyPatch, user: str, said: str
) -> None:
    name_file(authority, tmp_path, bare)
    server, tunnel = TlsServer(authority.issue_cert(HOST)), Tunnel(to_port=1)

    message = ask_through(tunnel, server, bare, user)

    sent = b"Proxy-Authorization: Basic " + base64.b64encode(said.encode())
    assert message == ""
    assert sent in tunnel.read[0]
    assert b"Proxy-" not in server.heads[0]


def test_a_proxy_of_the_environment_is_not_used_behind_our_back(
    authority: trustme.CA, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    name_file(authority, tmp_path, bare)
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        bare.setenv(name, "http://127.0.0.1:9")

    message, _ = ask(TlsServer(authority.issue_cert("127.0.0.1")))

    assert message == ""


def test_a_host_that_no_proxy_names_is_asked_directly(
    authority: trustme.CA, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    bare.setenv("NO_PROXY", ".test.invalid")
    tunnel = Tunnel(to_port=1)

    message = ask_through(tunnel, TlsServer(authority.issue_cert(HOST)), bare)

    assert "no answer (its name is not known)" in message
    assert tunnel.read == []


# --- nobody else is asked -------------------------------------------------------------------------------------------


def test_addresses_in_an_answer_are_never_asked(
    authority: trustme.CA, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    name_file(authority, tmp_path, bare)

    async def run() -> int:
        async with TlsServer(authority.issue_cert("127.0.0.1")).running() as other:
            elsewhere = f"https://127.0.0.1:{other.port}/v1/threads?after=thread_1"
            more = f'"has_more":false,"next":"{elsewhere}","next_page":"{elsewhere}"'
            body = f'{{"object":"list","data":[{{"id":"thread_1","url":"{elsewhere}"}}],{more}}}'
            headers = {"Link": f'<{elsewhere}>; rel="next"', "Content-Location": elsewhere}
            async with TlsServer(authority.issue_cert("127.0.0.1"), reply(200, body, headers)).running() as server:
                endpoint = Endpoint(f"https://127.0.0.1:{server.port}/v1", {"Authorization": f"Bearer {KEY}"})
                async with ApiClient(endpoint, Pacer(concurrency=1), clock=FakeClock().clock()) as client:
                    # That it ends and goes on is not believed, but looked into by cursors of ours.
                    with pytest.raises(WalkError, match="answers the same to every limit, cursor and order"):
                        await list_thread_ids(client)
                assert len(server.heads) > 1
                return len(other.heads)

    assert asyncio.run(run()) == 0
