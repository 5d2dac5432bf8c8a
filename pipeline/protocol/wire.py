"""The objects of the protocol as servers really send them, for strict decoding by msgspec.

Every field is optional but the id: no two servers agree. A struct takes the fields that we know and refuses others, so
that a page with something new is read again item by item and the new fields are kept in `unknown`.
Fields of free form stay `Raw` (JSON text as sent); absent ones are `UNSET`, which is not the same as null.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

Token = Annotated[int, Meta(ge=0, le=2**62)]
# Seconds, or milliseconds from some servers; -1 for unset. float, because some servers send fractions.
Instant = Annotated[float, Meta(ge=-1, le=4e13)]
Free = Raw | UnsetType


class Wire(Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Base: `unknown` is never on the wire, it holds what salvaging found beside the known fields."""

    unknown: dict[str, Raw] | None = field(default=None, name="(unknown)")


class CachedTokens(Wire):
    """`prompt_token_details` of a usage."""

    cached_tokens: Token | None = None


class ReasoningTokens(Wire):
    """`completion_tokens_details` of a usage."""

    reasoning_tokens: Token | None = None


class Usage(Wire):
    """Tokens of a run or a step. The real API writes `prompt_token_details`, singular; some servers the plural."""

    prompt_tokens: Token | None = None
    completion_tokens: Token | None = None
    total_tokens: Token | None = None
    prompt_token_details: CachedTokens | None = None
    prompt_tokens_details: CachedTokens | None = None
    completion_tokens_details: ReasoningTokens | None = None


class LastError(Wire):
    """Why a run or a step failed."""

    code: str | None = None
    message: str | None = None


class MessageCreation(Wire):
    """Details of a message_creation step."""

    message_id: str | None = None


class FunctionCall(Wire):
    """A function tool call; arguments are a JSON string, from some servers an object."""

    name: str | None = None
    arguments: Any = None
    output: Any = None


class ImageFile(Wire):
    """An image that the code interpreter made."""

    file_id: str | None = None


class CodeOutput(Wire):
    """One output of the code interpreter: logs or an image."""

    type: str | None = None
    logs: str | None = None
    image: ImageFile | None = None


class CodeInterpreter(Wire):
    """A code interpreter call."""

    input: str | None = None
    outputs: list[CodeOutput] | None = None


class FileSearchResult(Wire):
    """One hit of a file search."""

    file_id: str | None = None
    file_name: str | None = None
    score: float | None = None
    content: Free = UNSET
    attributes: Free = UNSET


class FileSearch(Wire):
    """A file search call."""

    ranking_options: Free = UNSET
    results: list[FileSearchResult] | None = None


class ToolCall(Wire):
    """A tool call of any type: most nest their fields under the name of their type, `mcp` has them flat."""

    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None
    code_interpreter: CodeInterpreter | None = None
    # [] and {} are both seen
    file_search: FileSearch | list[Raw] | None = None
    retrieval: Free = UNSET
    bing_grounding: Free = UNSET
    bing_custom_search: Free = UNSET
    azure_ai_search: Free = UNSET
    azure_function: Free = UNSET
    browser_automation: Free = UNSET
    computer_use_preview: Free = UNSET
    connected_agent: Free = UNSET
    deep_research: Free = UNSET
    fabric_dataagent: Free = UNSET
    openapi: Free = UNSET
    sharepoint_grounding: Free = UNSET
    name: Free = UNSET
    arguments: Free = UNSET
    output: Free = UNSET
    server_label: Free = UNSET


class StepDetails(Wire):
    """The payload of a step; its `type` can disagree with the step's own and is the one to believe."""

    type: str | None = None
    message_creation: MessageCreation | None = None
    tool_calls: list[ToolCall] | None = None
    activities: Free = UNSET


class Step(Wire):
    """A run step."""

    id: str
    object: str | None = None
    created_at: Instant | None = None
    run_id: str | None = None
    assistant_id: str | None = None
    thread_id: str | None = None
    type: str | None = None
    status: str | None = None
    cancelled_at: Instant | None = None
    completed_at: Instant | None = None
    expired_at: Instant | None = None
    expires_at: Instant | None = None
    failed_at: Instant | None = None
    last_error: LastError | None = None
    step_details: StepDetails | None = None
    usage: Usage | None = None
    metadata: Free = UNSET


class IncompleteDetails(Wire):
    """Why a run ended incomplete."""

    reason: str | None = None


class Run(Wire):
    """A run."""

    id: str
    object: str | None = None
    created_at: Instant | None = None
    thread_id: str | None = None
    assistant_id: str | None = None
    status: str | None = None
    started_at: Instant | None = None
    completed_at: Instant | None = None
    cancelled_at: Instant | None = None
    failed_at: Instant | None = None
    expires_at: Instant | None = None
    last_error: LastError | None = None
    incomplete_details: IncompleteDetails | None = None
    model: str | None = None
    instructions: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None
    tools: Free = UNSET
    metadata: Free = UNSET
    # Known, but of no use as columns: they go to `extra`.
    required_action: Free = UNSET
    temperature: Free = UNSET
    top_p: Free = UNSET
    max_prompt_tokens: Free = UNSET
    max_completion_tokens: Free = UNSET
    truncation_strategy: Free = UNSET
    tool_choice: Free = UNSET
    parallel_tool_calls: Free = UNSET
    response_format: Free = UNSET
    tool_resources: Free = UNSET
    reasoning_effort: Free = UNSET
    file_ids: Free = UNSET


RUN_EXTRA_FIELDS = (
    "required_action",
    "temperature",
    "top_p",
    "max_prompt_tokens",
    "max_completion_tokens",
    "truncation_strategy",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "tool_resources",
    "reasoning_effort",
    "file_ids",
)

TERMINAL_STATUSES = frozenset({"completed", "failed", "cancelled", "expired", "incomplete"})
# The same as a list of SQL.
TERMINAL_SQL = "(" + ", ".join(f"'{status}'" for status in sorted(TERMINAL_STATUSES)) + ")"


class StepsPage(Struct, gc=False):
    """A list envelope of steps; the envelope's own fields are the pager's business."""

    data: list[Step]


class RunsPage(Struct, gc=False):
    """A list envelope of runs."""

    data: list[Run]


class RawPage(Struct, gc=False):
    """A list envelope whose items are looked at one by one."""

    data: list[Raw]


class ItemHead(Struct, gc=False):
    """What the pager and the plan need of an item; anything else in it is skipped."""

    id: object = None
    status: object = None
    created_at: object = None
    completed_at: object = None
    cancelled_at: object = None
    failed_at: object = None
    thread_id: object = None
    run_id: object = None
    usage: object = None
    # What a response and a turn are of, and what a turn says beside its status.
    conversation: object = None
    session_id: object = None
    subagent_id: object = None


class ListHead(Struct, gc=False):
    """What the pager needs of a list envelope.

    From `error` on it is where servers say beside a list that it is none, from `status` on also that it is not all.
    """

    data: list[ItemHead]
    has_more: bool | None = None
    first_id: object = None
    last_id: object = None
    kind: object = field(default=None, name="object")
    total: object = None
    total_count: object = None
    count: object = None
    error: object = None
    errors: object = None
    status: object = None
    success: object = None
    code: object = None
    message: object = None
    messages: object = None
    detail: object = None
    details: object = None
    warning: object = None
    warnings: object = None
    notice: object = None
    reason: object = None
    failures: object = None
    degraded: object = None
    partial: object = None
    is_partial: object = None
    incomplete: object = None
    truncated: object = None
    is_truncated: object = None
    timed_out: object = None
    complete: object = None
    is_complete: object = None
