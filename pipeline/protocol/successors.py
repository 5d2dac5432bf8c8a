"""Responses, turns and what stands around them, as servers really send them, for strict decoding by msgspec.

What the structs hold as `Free` goes to `extra`; items of an output are read field by field, for no two types agree.
"""

from collections.abc import Mapping

from msgspec import UNSET, Raw, UnsetType

from pipeline.protocol.json_text import decode_fields, decode_text
from pipeline.protocol.spellings import in_own_style
from pipeline.protocol.wire import Free, IncompleteDetails, Instant, LastError, Token, Wire

RESPONSE, TURN, SESSION, CONVERSATION, SUBAGENT = (
    "response", "agent.session.turn", "agent.session", "conversation", "agent.session.subagent",
)  # fmt: skip
# Objects of one protocol, and what they are: `runs` are what is kept, the rest stands around it.
RUN_OBJECTS = {RESPONSE: "responses", TURN: "agents"}
AROUND_OBJECTS = {SESSION: "agents", SUBAGENT: "agents", CONVERSATION: "responses"}


class InputDetails(Wire):
    """`input_tokens_details` of a usage. What was written to the cache is a part of the input beside what was read."""

    cached_tokens: Token | None = None
    cache_write_tokens: Token | None = None
    cache_write_tokens_details: Free = UNSET


class OutputDetails(Wire):
    """`output_tokens_details` of a usage."""

    reasoning_tokens: Token | None = None


class ItemsUsage(Wire):
    """Tokens of a response or a turn; its items have none."""

    input_tokens: Token | None = None
    output_tokens: Token | None = None
    total_tokens: Token | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Response(Wire):
    """A response, whole: with its output and its usage."""

    id: str
    object: str | None = None
    created_at: Instant | None = None
    completed_at: Instant | None = None
    status: str | None = None
    error: LastError | str | None = None
    incomplete_details: IncompleteDetails | None = None
    # A text, or a list of items.
    instructions: Free = UNSET
    model: str | None = None
    output: list[Raw] | None = None
    usage: ItemsUsage | None = None
    service_tier: str | None = None
    previous_response_id: str | None = None
    conversation: Free = UNSET
    # Foundry: by name and version; its previews called it `agent`.
    agent_reference: Free = UNSET
    agent: Free = UNSET
    tools: Free = UNSET
    metadata: Free = UNSET
    # Known, but of no use as columns: they go to `extra`.
    tool_usage: Free = UNSET
    background: Free = UNSET
    billing: Free = UNSET
    max_output_tokens: Free = UNSET
    max_tool_calls: Free = UNSET
    moderation: Free = UNSET
    parallel_tool_calls: Free = UNSET
    prompt: Free = UNSET
    prompt_cache_key: Free = UNSET
    prompt_cache_options: Free = UNSET
    prompt_cache_retention: Free = UNSET
    reasoning: Free = UNSET
    safety_identifier: Free = UNSET
    store: Free = UNSET
    temperature: Free = UNSET
    text: Free = UNSET
    tool_choice: Free = UNSET
    top_logprobs: Free = UNSET
    top_p: Free = UNSET
    truncation: Free = UNSET
    user: Free = UNSET
    frequency_penalty: Free = UNSET
    presence_penalty: Free = UNSET
    response_id: Free = UNSET
    agent_session_id: Free = UNSET


class Turn(Wire):
    """A turn of a session. Its model is the session's, its items are listed by themselves."""

    id: str
    object: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    subagent_id: str | None = None
    status: str | None = None
    created_at: Instant | None = None
    started_at: Instant | None = None
    completed_at: Instant | None = None
    error: LastError | str | None = None
    usage: ItemsUsage | None = None
    prompt_cache_options: Free = UNSET


_FIRST_OF_RESPONSE = Response.__struct_fields__.index("tool_usage")
RESPONSE_EXTRA_FIELDS = Response.__struct_fields__[_FIRST_OF_RESPONSE:-1]


def text_field(raw: Raw | UnsetType | None, *path: str) -> str | None:
    """The text at a path of an object as sent; None if there is none."""
    body = b"" if raw is None or isinstance(raw, UnsetType) else bytes(raw).strip()
    for name in path:
        if not body.startswith(b"{"):
            return None
        found = in_own_style(decode_fields(body)).get(name)
        body = b"" if found is None else bytes(found)
    return (decode_text(body) or None) if body.startswith(b'"') else None


def thread_of(fields: Mapping[str, Raw]) -> str | None:
    """The thread that an object says it is of: its conversation, its session, or itself where it has neither."""
    kind = text_field(fields.get("object"))
    if kind in (TURN, SUBAGENT):
        return text_field(fields.get("session_id"))
    if kind in (SESSION, CONVERSATION):
        return text_field(fields.get("id"))
    return conversation_of(fields.get("conversation")) or text_field(fields.get("id"))


def conversation_of(raw: Raw | UnsetType | None) -> str | None:
    """The conversation's id, of an object that has it or of its own."""
    return text_field(raw) or text_field(raw, "id")
