"""Whether a sync could talk to its server: configuration, key, the server itself and its clock."""

import email.utils
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from pipeline.errors import ConfigurationError, RefusedError
from pipeline.http.event_loop import run_in_loop
from pipeline.http.probe import Probe, probe_server
from pipeline.http.retrying import judge_status
from pipeline.http.tokens import TokenSource
from pipeline.program import command
from pipeline.protocol.endpoint import Endpoint, check_base_url, hide_credentials
from pipeline.protocol.kinds import KINDS, Kind, find_hint, hint_for_all
from pipeline.settings.invocation import Settings
from pipeline.verbs.doctor.diagnosis import Diagnosis

# No server has it: that it does not is the answer we hope for.
MADE_UP_THREAD = "thread_doctor"
_SHOWN_LENGTH = 300
# Tokens are renewed five minutes before their end, by our clock.
_SKEW_WARN_S, _SKEW_FAIL_S = 60.0, 300.0


def examine_server(settings: Settings, *, thread_id: str | None, offline: bool, now: datetime) -> Iterator[Diagnosis]:
    """Configuration, key, server, clock; what could not be looked at is left out. `thread_id` is one that it knows."""
    kind = KINDS[settings["kind"]]
    named = f"profile {settings.source}, kind {settings['kind']}"
    base_url = settings["base_url"] or kind.base_url
    if not base_url:
        advice = f"{command('sync')} says how to name one; {command('sync --sample')} needs none"
        yield Diagnosis("configuration", "warn", f"{named}: no server is configured", advice)
        return
    try:
        check_base_url(base_url, plain_http_hosts=frozenset(settings["plain_http_hosts"]))
    except ConfigurationError as error:
        yield Diagnosis("configuration", "fail", f"{named}: {error}")
        return
    origin = settings.settings["base_url"].origin if settings["base_url"] else f"kind {settings['kind']}"
    yield Diagnosis("configuration", "ok", f"{named}, {hide_credentials(base_url)} ({origin})")
    try:
        endpoint, tokens = settings.endpoint(), settings.tokens()
        token = run_in_loop(first_token(tokens, now)) if tokens else None
    except (ConfigurationError, RefusedError) as error:
        yield Diagnosis("key", "fail", str(error))
        return
    yield Diagnosis("key", "ok", _key_origin(settings, endpoint))
    if not offline:
        yield from _examine_answer(endpoint, tokens, token, kind=kind, thread_id=thread_id)


async def first_token(tokens: TokenSource, now: datetime | None = None) -> str:
    """A token to ask with. Raises ConfigurationError or RefusedError if there is none."""
    return await tokens.current(now or datetime.now(UTC))


def _key_origin(settings: Settings, endpoint: Endpoint) -> str:
    for name in ("api_key_file", "api_key_command", "token_command", "azure_identity"):
        if settings[name]:
            # A command's arguments may be anything; its name is enough to find it.
            shown = settings[name][0] if isinstance(settings[name], list) else settings[name]
            return f"from {name} {'' if shown is True else shown} (not shown)"
    if settings["api_key"] is not None:
        return f"{settings.settings['api_key'].origin} (not shown)"
    return "none is sent" + (", but headers or parameters that may hold one are" if endpoint.secrets else "")


def _examine_answer(
    endpoint: Endpoint, tokens: TokenSource | None, token: str | None, *, kind: Kind, thread_id: str | None
) -> Iterator[Diagnosis]:
    segments = ("threads", thread_id or MADE_UP_THREAD, "runs")
    try:
        probe = run_in_loop(probe_server(endpoint, segments, [("limit", "1"), ("order", "asc")], token=token))
    except ConfigurationError as error:
        yield Diagnosis("server", "fail", str(error))
        return
    at = datetime.now(UTC)
    if probe.failure is not None:
        where = f"{urlsplit(endpoint.base_url).netloc}: {probe.failure.reason}"
        yield Diagnosis("server", "fail", where, probe.failure.hint or "look at the base URL and at the network")
        return
    diagnosis = _judge(endpoint, probe, kind=kind, is_known=thread_id is not None, now=at)
    found = endpoint.redact(diagnosis.found)
    found = (tokens.redact(found) if tokens else found)[:_SHOWN_LENGTH]
    yield Diagnosis(diagnosis.check, diagnosis.state, found, diagnosis.advice)
    yield _judge_clock(probe.headers.get("date"), at)


def _judge(endpoint: Endpoint, probe: Probe, *, kind: Kind, is_known: bool, now: datetime) -> Diagnosis:
    fault = judge_status(probe.status, probe.headers, probe.body, now=now, quote=endpoint.quotes_server)
    said = f"{endpoint.base_url} answered {fault.reason} in {probe.seconds:.2f} s"
    hint = find_hint(endpoint.hints, probe.status, probe.body)
    if probe.status == 200:
        if _is_list(probe.body):
            return Diagnosis("server", "ok", said)
        return Diagnosis("server", "fail", f"{said}, but not with a list of runs", "look at the base URL")
    if 300 <= probe.status < 400:
        return Diagnosis("server", "fail", f"{said}: a redirect", "set the base URL to where the API really is")
    if fault.refused:
        return Diagnosis("server", "fail", said, hint or "look at the key, its permissions and its quota")
    if probe.status == 404 and hint is None and _is_error(probe.body):
        thread = "a thread of the warehouse is gone there" if is_known else "it does not know a made-up thread"
        return Diagnosis("server", "ok", f"{said}: {thread}, and does not refuse the key")
    if probe.status == 404:
        whole = hint_for_all(kind, endpoint.base_url, probe.status)
        return Diagnosis("server", "warn", said, hint or whole or "no error of this protocol: look at the base URL")
    if fault.retry:
        return Diagnosis("server", "warn", said, "it asks to come again later; a sync would")
    return Diagnosis("server", "fail", said, hint or "look at the base URL and at the kind of the profile")


def _is_list(body: bytes) -> bool:
    answer = _read_object(body)
    return isinstance(answer.get("data"), list)


def _is_error(body: bytes) -> bool:
    return not _read_object(body).keys().isdisjoint(("error", "message", "detail"))


def _read_object(body: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (ValueError, RecursionError):
        return {}


def _judge_clock(said: str | None, now: datetime) -> Diagnosis:
    try:
        theirs = email.utils.parsedate_to_datetime(said or "")
    except (ValueError, OverflowError):
        return Diagnosis("clock", "warn", "not compared: the server does not say what time it is")
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    skew_s = (now - theirs).total_seconds()
    found = f"{abs(skew_s):,.0f} s {'after' if skew_s >= 0 else 'before'} the server's"
    if abs(skew_s) < _SKEW_WARN_S:
        return Diagnosis("clock", "ok", found)
    advice = "set this machine's clock (NTP): the ends of tokens and the order of observations go by it"
    return Diagnosis("clock", "fail" if abs(skew_s) >= _SKEW_FAIL_S else "warn", found, advice)
