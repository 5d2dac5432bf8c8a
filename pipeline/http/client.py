"""HTTP: one GET with credentials, timeouts and bounded retries."""

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from pipeline.errors import PipelineError, RefusedError, RequestError, UnreachedError
from pipeline.http.body_budget import BodyBudget
from pipeline.http.connection_faults import UNREACHED, explain_failure
from pipeline.http.masking import mask_body, mask_text
from pipeline.http.pacing import Clock, Pacer
from pipeline.http.retrying import Fault, RetryPolicy, backoff_s, gives_up, judge_redirect, judge_size, judge_status
from pipeline.http.tokens import TokenSource
from pipeline.http.transport import TargetRequest, open_transport
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.kinds import find_hint

T = TypeVar("T")

# Beyond any page that a server of this protocol can mean: 100 items of 5 MB.
LARGEST_BODY_BYTES = 512 * 2**20
_MESSAGE_LENGTH = 300
_PUSH_BACKS = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A good answer: the body as sent, but for our own keys in it, and what `decode` made of it."""

    body: bytes
    value: T
    request_id: str | None
    fetched_at: datetime


@dataclass(slots=True)
class Traffic:
    """What the client did so far."""

    requests: int = 0
    retries: int = 0
    bytes: int = 0
    # Why something was asked for again, last.
    trouble: str | None = None


class _FaultError(Exception):
    def __init__(self, fault: Fault, hint: str | None = None) -> None:
        super().__init__(fault.reason)
        self.fault = fault
        self.hint = hint


@dataclass(slots=True)
class ApiClient:
    """Requests to one endpoint; use it as an async context manager.

    `tokens` gives the bearer token where it changes with time; entering raises ConfigurationError if there is none.
    """

    endpoint: Endpoint
    pacer: Pacer
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    clock: Clock = field(default_factory=Clock)
    transport: httpx.AsyncBaseTransport | None = None
    traffic: Traffic = field(default_factory=Traffic)
    bodies: BodyBudget = field(default_factory=BodyBudget)
    tokens: TokenSource | None = None
    # Once we are refused altogether nothing more is asked, also by those who were waiting for their turn.
    _refusal: PipelineError | None = field(default=None, init=False, repr=False)
    _answered: bool = field(default=False, init=False, repr=False)
    _opened: bool = field(default=False, init=False, repr=False)
    _origin: str = field(init=False, repr=False)
    # What all requests have in common.
    _common: httpx.Request = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint.base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        base = httpx.URL(self.endpoint.base_url)
        self._common = httpx.Request("GET", base, headers={"Host": base.netloc.decode(), **self.endpoint.headers})

    async def __aenter__(self) -> "ApiClient":
        if self.tokens is not None:
            await self.tokens.current(self.clock.now())
        if self.transport is None:
            self.transport, self._opened = open_transport(self.endpoint), True
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.transport is not None:
            await self.transport.aclose()
        if self._opened:
            self.transport, self._opened = None, False

    async def get(
        self, segments: Sequence[str], params: Sequence[tuple[str, str]] = (), *, decode: Callable[[bytes], T]
    ) -> Answer[T]:
        """The resource's answer.

        A 200 that `decode` refuses (ValueError) counts as a fault and is asked for again a few times.
        Raises RequestError when this resource cannot be had, RefusedError when the server refuses us altogether,
        UnreachedError when nothing ever answered.
        """
        request = self._request(segments, params)
        try:
            return await self._try_signed(request, decode)
        except _FaultError as error:
            first = error
        try:
            return await self._retry(request, decode, first)
        except _FaultError as error:
            final = self._final_error(self.endpoint.path(segments), error)
            if not isinstance(final, RequestError):
                self._refusal = final
            raise final from None

    def _request(self, segments: Sequence[str], params: Sequence[tuple[str, str]]) -> httpx.Request:
        try:
            url = self.endpoint.url(segments, params)
        except ValueError as error:
            path = self.endpoint.path(segments)[:_MESSAGE_LENGTH]
            raise RequestError(f"{path}: an id here fits into no URL ({error})") from None
        return TargetRequest(self._common, url.removeprefix(self._origin))

    async def _retry(self, request: httpx.Request, decode: Callable[[bytes], T], first: "_FaultError") -> Answer[T]:
        """Go on after a first fault; most requests never come here, so they do not pay for the loop."""
        replayed, trouble = False, self._redacted(first.fault.reason)

        async def attempt() -> Answer[T]:
            nonlocal replayed
            if not replayed:
                replayed = True
                raise first
            self.traffic.retries += 1
            self.traffic.trouble = trouble
            return await self._try_signed(request, decode)

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, _FaultError) and error.fault.retry),
            stop=self._gives_up,
            wait=self._wait_s,
            sleep=self.clock.sleep,
            reraise=True,
        )
        return await retrying(attempt)

    def _gives_up(self, state: RetryCallState) -> bool:
        return gives_up(_fault_of(state), self.policy, tries=state.attempt_number, is_known=self._answered)

    def _wait_s(self, state: RetryCallState) -> float:
        fault = _fault_of(state)
        wait_s = backoff_s(state.attempt_number, self.policy, chance=self.clock.chance())
        return wait_s if fault.wait_s is None else fault.wait_s

    async def _try_signed(self, request: httpx.Request, decode: Callable[[bytes], T]) -> Answer[T]:
        """One try; where there are tokens, with the one that is valid now, and once more if that is refused."""
        if self.tokens is None:
            return await self._try_once(request, decode)
        token = await self._sign(request, self.tokens)
        try:
            answer = await self._try_once(request, decode)
        except _FaultError as error:
            if error.fault.status != httpx.codes.UNAUTHORIZED:
                raise
            if not await self.tokens.replace(token, self.clock.now()):
                raise
            await self._sign(request, self.tokens)
            answer = await self._try_once(request, decode)
        self.tokens.accept()
        return answer

    async def _sign(self, request: httpx.Request, tokens: TokenSource) -> str:
        token = await tokens.current(self.clock.now())
        request.headers = self._common.headers.copy()
        request.headers["Authorization"] = f"Bearer {token}"
        return token

    async def _try_once(self, request: httpx.Request, decode: Callable[[bytes], T]) -> Answer[T]:
        async with self.pacer.slot():
            if self._refusal is not None:
                raise self._refusal
            self.traffic.requests += 1
            started_s = self.clock.monotonic()
            try:
                async with asyncio.timeout(self.endpoint.timeout_s):
                    response, body = await self._send(request)
            except TimeoutError:
                raise _FaultError(Fault(f"no whole answer within {self.endpoint.timeout_s:g} s", retry=True)) from None
            except httpx.TransportError as error:
                failure = explain_failure(error)
                unreached = failure.step in UNREACHED
                raise _FaultError(
                    Fault(failure.reason, retry=failure.heals, unreached=unreached), failure.hint
                ) from None
            except httpx.DecodingError as error:
                raise _FaultError(Fault(f"the answer broke off ({type(error).__name__})", retry=True)) from None
        self._answered = True
        self.traffic.bytes += len(body)
        body = mask_body(body, self._keys())
        if response.is_redirect:
            raise _FaultError(self._redirect(response))
        if response.status_code != httpx.codes.OK:
            fault = judge_status(
                response.status_code, response.headers, body, now=self.clock.now(), quote=self.endpoint.quotes_server
            )
            self._heed(fault)
            raise _FaultError(fault, find_hint(self.endpoint.hints, response.status_code, body))
        try:
            value = decode(body)
        except ValueError as error:
            raise _FaultError(Fault(f"HTTP 200 but {error}", retry=True, status=200, bad_body=True)) from None
        self.pacer.succeeded(self.clock.monotonic() - started_s)
        request_id = mask_text(response.headers.get("x-request-id", ""), self._keys()) or None
        return Answer(body, value, request_id, self.clock.stamp())

    def _keys(self) -> tuple[str, ...]:
        return (*self.endpoint.keys, *(self.tokens.values if self.tokens else ()))

    def _heed(self, fault: Fault) -> None:
        """Let a push-back slow down all requests, not only the one that met it."""
        if fault.status in _PUSH_BACKS and fault.retry:
            self.pacer.pushed_back()
        if fault.retry and fault.wait_s is not None and fault.wait_s <= self.policy.longest_retry_after_s:
            self.pacer.pause(fault.wait_s)

    async def _send(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        if self.transport is None:
            raise RuntimeError("the client is not open")
        response = await self.transport.handle_async_request(request)
        held_bytes = 0
        try:
            chunks: list[bytes] = []
            size_bytes, granted_bytes = 0, self.bodies.ordinary_bytes
            async for chunk in _unpacked(response):
                size_bytes += len(chunk)
                if size_bytes > granted_bytes:
                    held_bytes = self._grow(held_bytes, size_bytes)
                    granted_bytes = min(self.bodies.ordinary_bytes + held_bytes, LARGEST_BODY_BYTES)
                chunks.append(chunk)
        finally:
            self.bodies.give_back(held_bytes)
            # Not the response, which would do no more than note it.
            if isinstance(response.stream, httpx.AsyncByteStream):
                await response.stream.aclose()
        return response, b"".join(chunks)

    def _grow(self, held_bytes: int, size_bytes: int) -> int:
        """What a body that is larger than an ordinary one holds of the budget; a fault if it may not."""
        if size_bytes > LARGEST_BODY_BYTES:
            raise _FaultError(Fault(f"the answer is larger than {LARGEST_BODY_BYTES >> 20} MiB", retry=False))
        held = self.bodies.grow(held_bytes, size_bytes)
        if held is None:
            raise _FaultError(judge_size(size_bytes, self.bodies.limit_bytes))
        return held

    def _redirect(self, response: httpx.Response) -> Fault:
        # A host is what the server says as well.
        to = response.headers.get("location", "") if self.endpoint.quotes_server else None
        return judge_redirect(response.status_code, to and mask_text(to, self._keys()))

    def _redacted(self, reason: str) -> str:
        # Shortened last: a secret that is cut in two would not be found any more.
        reason = self.endpoint.redact(reason)
        return (self.tokens.redact(reason) if self.tokens else reason)[:_MESSAGE_LENGTH]

    def _final_error(self, path: str, error: "_FaultError") -> PipelineError:
        fault = error.fault
        reason = self._redacted(fault.reason)
        message = f"{path}: {reason}"
        if fault.unreached and not self._answered:
            hint = f" ({error.hint})" if error.hint else ""
            return UnreachedError(f"nothing answers at {self.endpoint.base_url}: {reason}{hint}")
        if fault.refused:
            hint = f" ({error.hint})" if error.hint else ""
            return RefusedError(f"the server refuses us at {message}: check the key, its permissions and quota{hint}")
        if fault.wait_s is not None and fault.wait_s > self.policy.longest_retry_after_s:
            asked = f"{fault.wait_s:,.0f} s; the longest we wait is {self.policy.longest_retry_after_s:g} s"
            return RequestError(f"{message}: the server asks to wait {asked}", status=fault.status)
        return RequestError(message, status=fault.status, hint=error.hint)


def _unpacked(response: httpx.Response) -> AsyncIterable[bytes]:
    """The chunks of a body; where it is not packed they need not pass httpx's decoders."""
    if "content-encoding" in response.headers or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    return response.stream


def _fault_of(state: RetryCallState) -> Fault:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, _FaultError):
        raise TypeError("only faults are retried")
    return error.fault
