"""A local server of the threads, runs and steps protocol, over HTTP on aiohttp."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from aiohttp import web

from pipeline.emulator.account.corpus import Corpus
from pipeline.emulator.control import add_control_routes
from pipeline.emulator.delivery import send_answer
from pipeline.emulator.dialects import DIALECTS, AuthStyle, DialectName, check_dialect, check_key
from pipeline.emulator.exchange import Answer, Exchange, RefusedRequestError, RequestEntry
from pipeline.emulator.faults.applying import apply_answer_faults, apply_page_faults, choose_rules, forgives_cursor
from pipeline.emulator.faults.pages import CURSOR_PREFIX
from pipeline.emulator.faults.records import read_odd_id
from pipeline.emulator.faults.rules import SUCCESSOR_ROUTES
from pipeline.emulator.state import EMULATION, Emulation
from pipeline.emulator.store import (
    ItemList,
    Order,
    Page,
    PageQuery,
    Store,
    UnknownCursorError,
    choose_body,
)
from pipeline.emulator.successors import routes as successors

DEFAULT_API_KEY: Final = "emulator-key"
DEFAULT_BASE_PATH: Final = "/v1"
_CONTENTS: Final = frozenset({"step_details.tool_calls[*].file_search.results[*].content"})


Find = Callable[[Emulation, Exchange, RequestEntry], None]


def create_app(
    corpus: Corpus,
    *,
    api_key: str = DEFAULT_API_KEY,
    dialect: DialectName = "plain",
    auth: AuthStyle = "bearer",
    base_path: str = DEFAULT_BASE_PATH,
    phase: int = 0,
) -> web.Application:
    """The server as an application: the protocol under `base_path`, the control API under `/_emulator/`."""
    app = web.Application()
    app[EMULATION] = Emulation(corpus, Store(corpus, phase), api_key, auth, DIALECTS[dialect])
    base = base_path.rstrip("/")
    for path, (route, find) in {**_ROUTES, **successors.ROUTES}.items():
        app.router.add_get(base + path, _make_handler(route, find))
    add_control_routes(app)
    app.router.add_route("*", "/{path:.*}", _make_handler("unknown", _refuse_url))
    return app


def _make_handler(route: str, find: Find) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        emulation = request.app[EMULATION]
        entry = emulation.log.open_entry(request.method, route, request.path, time.monotonic())
        try:
            answer = _answer(emulation, entry, request, find)
            answer.headers["x-request-id"] = f"req_{entry.sequence:012d}"
            entry.status = answer.status
            return await send_answer(request, answer)
        finally:
            emulation.log.in_flight -= 1

    return handle


def _answer(emulation: Emulation, entry: RequestEntry, request: web.Request, find: Find) -> Answer:
    try:
        _note_request(entry, request)
        check_key(request.headers, emulation.auth, emulation.api_key)
        if entry.route in SUCCESSOR_ROUTES:
            successors.check_beta(entry.route, request.headers)
        else:
            check_dialect(request.headers, request.query, emulation.dialect)
    except RefusedRequestError as refused:
        return refused.answer
    exchange = Exchange(
        entry.route, entry.thread_id, entry.run_id, PageQuery(), entry.at_s, parents=dict(request.match_info)
    )
    rules = choose_rules(emulation.rules, exchange)
    try:
        exchange.query = _read_query(entry, request)
        exchange.names_cursor = request.query.get("after", "").startswith(CURSOR_PREFIX)
        find(emulation, exchange, entry)
        apply_page_faults(rules, exchange)
        page = cast(Page, exchange.page)
        if exchange.own_cursors and page.last_id is not None:
            page.last_id = CURSOR_PREFIX + page.last_id.removeprefix(CURSOR_PREFIX)
        answer = Answer(200, page.encode())
    except RefusedRequestError as refused:
        answer = refused.answer
    except UnknownCursorError as unknown:
        if (forgiven := forgives_cursor(rules)) is not None:
            exchange.query, exchange.page = replace(exchange.query, after=None, before=None), Page([])
            if forgiven == "cursor_gone_restarts":
                find(emulation, exchange, entry)
            return apply_answer_faults(rules, exchange, Answer(200, exchange.page.encode()))
        message = f"No object found with id '{unknown.object_id}'."
        answer = RefusedRequestError(400, message, param=unknown.parameter).answer
    return apply_answer_faults(rules, exchange, answer)


def _note_request(entry: RequestEntry, request: web.Request) -> None:
    found, query = request.match_info, request.query
    entry.thread_id = _read_id(found, "thread_id") or _first_of(successors.THREAD_NAMES, {**query, **found})
    entry.run_id = _read_id(found, "run_id") or _first_of(successors.RUN_NAMES, found)
    entry.step_id = _read_id(found, "step_id")
    entry.after = _read_id(query, "after")
    entry.after = entry.after and entry.after.removeprefix(CURSOR_PREFIX)
    entry.before = _read_id(query, "before")
    entry.limit = query.get("limit")
    entry.order = query.get("order")


def _read_id(values: Mapping[str, str], name: str) -> str | None:
    value = values.get(name)
    return read_odd_id(value) if value else None


def _first_of(names: Sequence[str], values: Mapping[str, str]) -> str | None:
    return next((values[name] for name in names if name in values), None)


def _read_query(entry: RequestEntry, request: web.Request) -> PageQuery:
    return PageQuery(
        limit=_read_limit(entry.limit),
        order=_read_order(entry.order),
        after=entry.after,
        before=entry.before,
        with_content=_read_include(request, successors.CONTENTS if entry.route in SUCCESSOR_ROUTES else _CONTENTS),
    )


def _read_limit(text: str | None) -> int:
    if text is None:
        return 20
    if not (text.isascii() and text.lstrip("-").isdigit()):
        raise RefusedRequestError(400, "Invalid type for 'limit': expected an integer.", param="limit")
    limit = int(text)
    if limit < 1:
        message = f"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {limit}."
        raise RefusedRequestError(400, message, param="limit", code="integer_below_min_value")
    if limit > 100:
        message = f"Invalid 'limit': integer above maximum value. Expected a value <= 100, but got {limit}."
        raise RefusedRequestError(400, message, param="limit", code="integer_above_max_value")
    return limit


def _read_order(text: str | None) -> Order:
    if text not in (None, "asc", "desc"):
        message = "Invalid value for 'order'. Supported values are: 'asc' and 'desc'."
        raise RefusedRequestError(400, message, param="order", code="invalid_value")
    return "asc" if text == "asc" else "desc"


def _read_include(request: web.Request, contents: Collection[str]) -> bool:
    values = request.query.getall("include[]", []) if "include" in request.rel_url.raw_query_string else []
    for value in values:
        if value not in contents:
            supported = "', '".join(sorted(contents))
            message = f"Invalid value: '{value}'. Supported values are: '{supported}'."
            raise RefusedRequestError(400, message, param="include[]", code="invalid_value")
    return bool(values)


def _list_threads(emulation: Emulation, exchange: Exchange, entry: RequestEntry) -> None:
    if not emulation.dialect.lists_threads:
        _refuse_url(emulation, exchange, entry)
    _cut_page(exchange, emulation.store.threads)


def _list_runs(emulation: Emulation, exchange: Exchange, entry: RequestEntry) -> None:
    _cut_page(exchange, _find_runs(emulation, entry))


def _list_steps(emulation: Emulation, exchange: Exchange, entry: RequestEntry) -> None:
    _cut_page(exchange, _find_steps(emulation, entry))


def _get_thread(emulation: Emulation, exchange: Exchange, entry: RequestEntry) -> None:
    _take_one(exchange, emulation.store.threads, entry.thread_id, "thread")


def _get_run(emulation: Emulation, exchange: Exchange, entry: RequestEntry) -> None:
    _take_one(exchange, _find_runs(emulation, entry), entry.run_id, "run")


def _get_step(emulation: Emulation, exchange: Exchange, entry: RequestEntry) -> None:
    _take_one(exchange, _find_steps(emulation, entry), entry.step_id, "run step")


def _refuse_url(_emulation: Emulation, _exchange: Exchange, entry: RequestEntry) -> None:
    raise RefusedRequestError(404, f"Invalid URL ({entry.method} {entry.path})")


def _cut_page(exchange: Exchange, items: ItemList) -> None:
    exchange.items = items
    exchange.page = items.cut(exchange.query)


def _take_one(exchange: Exchange, items: ItemList, object_id: str | None, noun: str) -> None:
    item = items.find(object_id or "")
    if item is None:
        raise RefusedRequestError(404, f"No {noun} found with id '{object_id}'.")
    exchange.page = Page([choose_body(item, exchange.query.with_content)], single=True)


def _find_runs(emulation: Emulation, entry: RequestEntry) -> ItemList:
    runs = emulation.store.runs.get(entry.thread_id or "")
    if runs is None:
        raise RefusedRequestError(404, f"No thread found with id '{entry.thread_id}'.")
    return runs


def _find_steps(emulation: Emulation, entry: RequestEntry) -> ItemList:
    if _find_runs(emulation, entry).locate(entry.run_id or "") is None:
        raise RefusedRequestError(404, f"No run found with id '{entry.run_id}'.")
    return emulation.store.list_steps(entry.run_id or "")


_ROUTES: Final[Mapping[str, tuple[str, Find]]] = {
    "/threads": ("list_threads", _list_threads),
    "/threads/{thread_id}": ("get_thread", _get_thread),
    "/threads/{thread_id}/runs": ("list_runs", _list_runs),
    "/threads/{thread_id}/runs/{run_id}": ("get_run", _get_run),
    "/threads/{thread_id}/runs/{run_id}/steps": ("list_steps", _list_steps),
    "/threads/{thread_id}/runs/{run_id}/steps/{step_id}": ("get_step", _get_step),
}


async def serve(app: web.Application, *, host: str = "127.0.0.1", port: int = 0) -> tuple[web.AppRunner, int]:
    """Start listening; the runner to clean up in the end, and the port."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=1024).start()
    await asyncio.sleep(0)
    return runner, int(runner.addresses[0][1])
