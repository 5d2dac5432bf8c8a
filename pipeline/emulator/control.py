"""The control API under `/_emulator/`: faults, phases, the request log, and changes while someone pages."""

from typing import Any

import msgspec
from aiohttp import web

from pipeline.emulator.faults.applying import read_rules
from pipeline.emulator.state import EMULATION, Emulation
from pipeline.emulator.store import ItemList
from pipeline.emulator.successors.truth import as_dict, count_successors


class InvalidControlError(Exception):
    """A control request that cannot be carried out; the message says why."""


def add_control_routes(app: web.Application) -> None:
    """Add the control API, which asks for no key: the server listens on loopback."""
    app.router.add_post("/_emulator/faults", _replace_faults)
    app.router.add_delete("/_emulator/faults", _clear_faults)
    app.router.add_post("/_emulator/advance", _advance)
    app.router.add_get("/_emulator/truth", _show_truth)
    app.router.add_get("/_emulator/requests", _show_requests)
    app.router.add_delete("/_emulator/requests", _clear_requests)
    app.router.add_post("/_emulator/insert", _insert)
    app.router.add_post("/_emulator/delete", _delete)


def _respond(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def _refuse(message: str) -> web.Response:
    return _respond({"error": {"message": message, "type": "invalid_control_request"}}, 400)


async def _read_json(request: web.Request) -> Any:
    try:
        return msgspec.json.decode(await request.read())
    except msgspec.DecodeError as error:
        raise InvalidControlError(f"The body is no JSON: {error}") from error


async def _replace_faults(request: web.Request) -> web.Response:
    try:
        rules = read_rules(await _read_json(request))
    except (InvalidControlError, ValueError) as error:
        return _refuse(str(error))
    request.app[EMULATION].rules = rules
    return _respond({"rules": len(rules)})


async def _clear_faults(request: web.Request) -> web.Response:
    request.app[EMULATION].rules = []
    return _respond({"rules": 0})


async def _advance(request: web.Request) -> web.Response:
    return _respond({"phase": request.app[EMULATION].advance()})


async def _show_truth(request: web.Request) -> web.Response:
    emulation = request.app[EMULATION]
    phase = emulation.store.phase
    successors = as_dict(count_successors(emulation.successors, phase))
    return _respond({**emulation.corpus.truth(phase).as_dict(), "successors": successors})


async def _show_requests(request: web.Request) -> web.Response:
    log = request.app[EMULATION].log
    entries = [entry.as_dict() for entry in log.entries]
    return _respond(
        {
            "total": log.total,
            "in_flight": log.in_flight,
            "peak_in_flight": log.peak_in_flight,
            "requests": entries,
        }
    )


async def _clear_requests(request: web.Request) -> web.Response:
    request.app[EMULATION].log.clear()
    return _respond({"total": 0})


async def _insert(request: web.Request) -> web.Response:
    try:
        body = await _read_object(request)
        items = _find_list(request.app[EMULATION], body)
        position = body.get("position")
        if position is not None and not isinstance(position, int):
            raise InvalidControlError("'position' must be an integer.")
        return _respond({"id": request.app[EMULATION].store.insert_copy(items, position)})
    except (InvalidControlError, LookupError) as error:
        return _refuse(str(error))


async def _delete(request: web.Request) -> web.Response:
    try:
        body = await _read_object(request)
        items = _find_list(request.app[EMULATION], body)
        object_id = body.get("id")
        if not isinstance(object_id, str) or not items.delete(object_id):
            raise InvalidControlError(f"'id' must name an object of the list; {object_id!r} does not.")
        return _respond({"id": object_id, "deleted": True})
    except InvalidControlError as error:
        return _refuse(str(error))


async def _read_object(request: web.Request) -> dict[str, Any]:
    body = await _read_json(request)
    if not isinstance(body, dict):
        raise InvalidControlError("The body must be an object.")
    return body


def _find_list(emulation: Emulation, body: dict[str, Any]) -> ItemList:
    """The steps of `run_id`, else the runs of `thread_id`, else the threads."""
    thread_id, run_id = body.get("thread_id"), body.get("run_id")
    if thread_id is None:
        return emulation.store.threads
    runs = emulation.store.runs.get(thread_id)
    if runs is None:
        raise InvalidControlError(f"There is no thread {thread_id!r}.")
    if run_id is None:
        return runs
    if runs.locate(run_id) is None:
        raise InvalidControlError(f"There is no run {run_id!r} in thread {thread_id!r}.")
    return emulation.store.list_steps(run_id)
