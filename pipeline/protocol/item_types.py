"""Types of items of responses and turns: which are calls, which outputs of calls, which of their fields are columns.

Types that are published; what servers make up beside them is told by how it ends.
"""

from dataclasses import dataclass
from functools import lru_cache

# Types that are known and no calls; messages stay raw, the rest is kept with the step.
MESSAGES = frozenset({"message"})
OTHERS = frozenset(
    {
        "reasoning",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "computer_use_approval_request",
        "computer_use_approval_request_result",
        "additional_tools",
        "compaction",
        "compaction_trigger",
        "configuration_update",
        "item_reference",
        "agent_message",
        "workflow_action",
        "structured_outputs",
        "oauth_consent_request",
    }
)
# Tools whose calls, and where they are items of their own outputs, are named `TOOL_call` and `TOOL_call_output`.
_TOOLS = (
    "function", "custom_tool", "file_search", "code_interpreter", "web_search", "mcp", "computer", "computer_use",
    "image_generation", "local_shell", "shell", "apply_patch", "tool_search", "multi_agent", "memory_search",
    "create_subagent", "send_subagent_input", "resume_subagent", "interrupt_subagent", "close_subagent",
    "wait_for_subagents", "remote_function", "bing_grounding", "bing_custom_search_preview", "azure_ai_search",
    "sharepoint_grounding_preview", "fabric_dataagent_preview", "browser_automation_preview", "openapi",
    "azure_function", "a2a_preview",
)  # fmt: skip
# What answers what, beside outputs: by which field it names it.
ANSWERS = {
    "mcp_approval_response": ("mcp_approval_request", "approval_request_id", "id"),
    "computer_use_approval_request_result": ("computer_use_approval_request", "request_id", "request_id"),
}
# Calls that whoever asked has to answer, in what is said next. Tools that the server runs itself it answers itself.
ASKED_FOR = frozenset(
    {"function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"}
)
_CALL, _OUTPUT, _PREVIEW = "_call", "_output", "_preview"
# Calls and outputs whose names do not end so.
_OTHER_CALLS = frozenset({"program", "command_execution"})
_OTHER_OUTPUTS = frozenset({"program_output", "tool_search_output"})
# All types that are published.
PUBLISHED = frozenset(
    {*MESSAGES, *OTHERS, *_OTHER_CALLS, *_OTHER_OUTPUTS}
    | {tool + end for tool in _TOOLS for end in (_CALL, _CALL + _OUTPUT)}
    | {tool.removesuffix(_PREVIEW) for tool in _TOOLS}
)
# Two names of one tool.
_SAME = {"computer_use": "computer"}
# Each item is asked about several times, and there are few types; a server may make up any.
_TYPES = 1024
# Whose type is what they name.
NAMES_ITS_TYPE = "remote_function"


@dataclass(frozen=True, slots=True)
class Kind:
    """Which fields of a call are its columns; the first that is there. `result` is of what stands in another item."""

    arguments: tuple[str, ...] = ("arguments", "input", "action", "content")
    output: tuple[str, ...] = ("output",)
    name: tuple[str, ...] = ("name",)
    result: tuple[str, ...] = ("output", "result", "tools")
    child: str | None = None


_KINDS = {
    "apply_patch": Kind(arguments=("operation",)),
    "code_interpreter": Kind(arguments=("code",), output=()),
    "command_execution": Kind(arguments=("command",)),
    "computer": Kind(arguments=("action", "actions"), name=("name", "title")),
    "file_search": Kind(arguments=("queries",), output=()),
    "image_generation": Kind(arguments=("revised_prompt", "prompt"), output=()),
    "memory_search": Kind(arguments=("queries", "arguments"), output=("results",)),
    "program": Kind(arguments=("code",), output=("result",)),
    "wait_for_subagents": Kind(arguments=("recipient_agent_ids",)),
    **dict.fromkeys(
        ("send_subagent_input", "resume_subagent", "interrupt_subagent", "close_subagent"),
        Kind(child="recipient_agent_id"),
    ),
}
_OTHER_KIND = Kind()


def kind_of(name: str) -> Kind:
    """What is known of calls to a tool."""
    return _KINDS.get(name, _OTHER_KIND)


@lru_cache(maxsize=_TYPES)
def is_output(item_type: str) -> bool:
    """Whether an item is the output of a call that is another item."""
    return item_type.endswith(_CALL + _OUTPUT) or item_type in _OTHER_OUTPUTS


@lru_cache(maxsize=_TYPES)
def is_call(item_type: str) -> bool:
    """Whether an item is a call, which it is too where nobody knows its type."""
    return not (is_output(item_type) or item_type in MESSAGES or item_type in OTHERS)


@lru_cache(maxsize=_TYPES)
def is_known(item_type: str) -> bool:
    """Whether the type of a call says that it is one."""
    return item_type.endswith(_CALL) or item_type in _OTHER_CALLS


@lru_cache(maxsize=_TYPES)
def base_of(item_type: str) -> str:
    """What a call and its output have in common: their type without `_call` and `_output`."""
    return item_type.removesuffix(_OUTPUT).removesuffix(_CALL)


@lru_cache(maxsize=_TYPES)
def tool_of(item_type: str) -> str:
    """The tool that a call is of, under the name that it has in steps of assistants."""
    name = item_type.removesuffix(_CALL).removesuffix(_PREVIEW)
    return _SAME.get(name, name)
