"""What a run or a step holds beside its columns: the JSON of `extra`, in the shape it had."""

import msgspec
from msgspec import UNSET, Raw
from msgspec.structs import astuple

from pipeline.protocol.json_text import join_fields
from pipeline.protocol.pages import LandedWalk
from pipeline.protocol.spellings import MILLISECONDS_ABOVE
from pipeline.protocol.wire import RUN_EXTRA_FIELDS, LastError, Run, Step, StepDetails, Usage, Wire

# These stand together in the struct.
_FIRST_EXTRA = Run.__struct_fields__.index(RUN_EXTRA_FIELDS[0])
_RUN_EXTRA = slice(_FIRST_EXTRA, _FIRST_EXTRA + len(RUN_EXTRA_FIELDS))


def expired_at(step: Step) -> float | None:
    """When the step expired. Servers send `expires_at` in its place, which before that is only a deadline."""
    if (step.expired_at or 0) <= 0 and step.status == "expired":
        return step.expires_at
    return step.expired_at


def run_extra(run: Run, walk: LandedWalk) -> str | None:
    """The `extra` of a run; None if its columns hold everything."""
    free = zip(RUN_EXTRA_FIELDS, astuple(run)[_RUN_EXTRA], strict=True)
    extra: dict[str, Raw | str] = {name: raw for name, raw in free if raw is not UNSET}
    if run.thread_id not in (None, walk.certificate.thread_id):
        extra["thread_id"] = msgspec.json.encode(run.thread_id).decode()
    _add_unknown(extra, run, run.usage, run.last_error)
    if run.incomplete_details is not None and run.incomplete_details.unknown:
        extra["incomplete_details"] = join_fields(run.incomplete_details.unknown) or "{}"
    return join_fields(extra)


def step_extra(step: Step, walk: LandedWalk) -> str | None:
    """The `extra` of a step; None if its columns hold everything."""
    extra: dict[str, Raw | str] = {}
    if step.expires_at is not None and expired_at(step) != step.expires_at:
        extra["expires_at"] = msgspec.json.encode(_whole(step.expires_at)).decode()
    if step.thread_id not in (None, walk.certificate.thread_id):
        extra["thread_id"] = msgspec.json.encode(step.thread_id).decode()
    if step.run_id not in (None, walk.certificate.run_id):
        extra["run_id"] = msgspec.json.encode(step.run_id).decode()
    _add_unknown(extra, step, step.usage, step.last_error)
    if step.step_details is not None and (kept := _details_extra(step.step_details)):
        extra["step_details"] = kept
    return join_fields(extra)


def _details_extra(details: StepDetails) -> str | None:
    kept: dict[str, Raw | str] = dict(details.unknown) if details.unknown else {}
    if details.activities is not UNSET:
        kept["activities"] = details.activities
    if details.message_creation is not None and details.message_creation.unknown:
        kept["message_creation"] = join_fields(details.message_creation.unknown) or "{}"
    return join_fields(kept)


def _add_unknown(extra: dict[str, Raw | str], item: Run | Step, usage: Usage | None, error: LastError | None) -> None:
    """What the structs of a run or a step have no field for, in the shape it had."""
    if item.unknown:
        extra.update(item.unknown)
    if usage is not None and (kept := _usage_extra(usage)):
        extra["usage"] = kept
    if error is not None and error.unknown:
        extra["last_error"] = join_fields(error.unknown) or "{}"
    if _has_milliseconds(item):
        extra["timestamp_unit"] = '"ms"'


def _has_milliseconds(item: Run | Step) -> bool:
    own = item.started_at if isinstance(item, Run) else item.expired_at
    # Written out: every item comes through here, and a loop takes three times as long.
    return (
        (item.created_at or 0) > MILLISECONDS_ABOVE
        or (item.completed_at or 0) > MILLISECONDS_ABOVE
        or (item.cancelled_at or 0) > MILLISECONDS_ABOVE
        or (item.failed_at or 0) > MILLISECONDS_ABOVE
        or (item.expires_at or 0) > MILLISECONDS_ABOVE
        or (own or 0) > MILLISECONDS_ABOVE
    )


def _usage_extra(usage: Usage) -> str | None:
    cached, plural, reasoning = usage.prompt_token_details, usage.prompt_tokens_details, usage.completion_tokens_details
    has_unknown = (
        usage.unknown
        or (cached is not None and cached.unknown)
        or (plural is not None and plural.unknown)
        or (reasoning is not None and reasoning.unknown)
    )
    overruled = None
    if cached is not None and plural is not None and cached.cached_tokens is not None:
        # Both spellings were sent and the column has the other one's number.
        overruled = plural.cached_tokens
    if not has_unknown and overruled is None:
        return None
    kept: dict[str, Raw | str] = dict(usage.unknown or {})
    for name in ("prompt_token_details", "prompt_tokens_details", "completion_tokens_details"):
        details: Wire | None = getattr(usage, name)
        unknown: dict[str, Raw | str] = dict(details.unknown or {}) if details is not None else {}
        if name == "prompt_tokens_details" and overruled is not None:
            unknown["cached_tokens"] = str(overruled)
        if unknown:
            kept[name] = join_fields(unknown) or "{}"
    return join_fields(kept)


def _whole(value: float) -> float | int:
    return int(value) if value.is_integer() else value
