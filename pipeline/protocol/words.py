"""Words that the protocol publishes: states, types, codes and names of fields; anything else a server made up."""

import re

from msgspec.structs import fields

from pipeline.protocol import successors, wire
from pipeline.protocol.item_types import PUBLISHED
from pipeline.protocol.spellings import ALIASES, own_name, snake_case

_LONGEST_ID = 256
_ID = re.compile(r"[\w.:/@+=,~|#$-]+")


def _split(words: str) -> frozenset[str]:
    return frozenset(words.split())


STATES = _split("""
    queued in_progress requires_action cancelling cancelled failed completed incomplete expired
    waiting idle active searching interpreting generating calling
    """)
TYPES = (
    _split("""
    list thread thread.run thread.run.step thread.message assistant
    message_creation tool_calls activities function code_interpreter file_search retrieval mcp mcp_list_tools
    bing_grounding bing_custom_search azure_ai_search azure_function browser_automation computer_use_preview
    connected_agent deep_research fabric_dataagent openapi sharepoint_grounding
    logs image text submit_tool_outputs submit_tool_approval mcp_approval_request
    auto none required last_messages disabled json_object json_schema default_2024_08_21 default-2024-08-21
    minimal low medium high xhigh
    default standard flex priority fast scale batch ultrafast
    response conversation agent.session agent.session.turn agent.session.subagent agent_reference agent_id
    input_text output_text input_image input_file refusal summary_text reasoning_text encrypted_content
    url_citation file_citation container_file_citation computer_screenshot
    search open_page find_in_page other exit timeout exec click double_click drag keypress move screenshot scroll wait
    create_file update_file delete_file spawn_agent direct container_reference container_auto detailed concise
    """)
    | PUBLISHED
)
# Of runs, of steps, of answers: OpenAI's, Azure's and those of gateways.
CODES = _split("""
    server_error rate_limit_exceeded invalid_prompt max_completion_tokens max_prompt_tokens max_output_tokens
    max_messages steered usage_limit_exceeded mcp_tool_execution_error
    content_filter tool_user_error vector_store_timeout invalid_image invalid_image_format image_too_large
    context_length_exceeded string_above_max_length timeout internal_error internal_server_error service_unavailable
    insufficient_quota credit_balance_exhausted organization_spend_limit_exceeded project_spend_limit_exceeded
    organization_usage_limit_exceeded billing_hard_limit_reached billing_not_active account_deactivated
    invalid_request_error authentication_error permission_error permission_denied permission_denied_error
    not_found not_found_error conflict_error rate_limit_error rate_limit_reached api_error overloaded_error
    invalid_api_key incorrect_api_key_provided invalid_organization mismatched_project invalid_project
    model_not_found deployment_not_found resource_not_found unsupported_country_region_territory
    invalid_beta invalid_type invalid_value missing_required_parameter unknown_parameter unknown_url
    unsupported_parameter unsupported_value unsupported_api_version missing_api_version_parameter
    requests tokens too_many_requests unauthorized forbidden bad_request conflict access_denied request_timeout
    """)
_WORDS = STATES | TYPES | CODES
_STRUCTS = (
    wire.Usage, wire.CachedTokens, wire.ReasoningTokens, wire.LastError, wire.MessageCreation, wire.FunctionCall,
    wire.ImageFile, wire.CodeOutput, wire.CodeInterpreter, wire.FileSearchResult, wire.FileSearch, wire.ToolCall,
    wire.StepDetails, wire.Step, wire.IncompleteDetails, wire.Run, wire.ListHead,
    successors.InputDetails, successors.OutputDetails, successors.ItemsUsage, successors.Response, successors.Turn,
)  # fmt: skip
_OTHER_NAMES = _split("""
    audio_tokens image_tokens text_tokens accepted_prediction_tokens rejected_prediction_tokens
    cache_creation_input_tokens cache_read_input_tokens input_cached_tokens cache_write_tokens
    last_messages score_threshold submit_tool_outputs submit_tool_approval vector_store_ids max_num_results
    json_schema schema strict description parameters filters vector_stores requesturl query
    ttl_30m_tokens ttl_12h_tokens web_search image_gen num_requests custom_id request_id status_code body response
    call_id turn_id response_id container_id approval_request_id server_label action actions code queries results
    filename score text content role phase summary operation environment outcome exit_code stdout stderr commands
    command cwd duration_ms caller caller_id execution tools fingerprint title error agent session_id last_active_at
    recipient_agent_id recipient_agent_ids sender_agent_id annotations logprobs size quality background output_format
    effort verbosity format memory_limit container version
    $numberLong $numberInt $numberDouble $numberDecimal $date
    """)
_NAMES = _OTHER_NAMES | ALIASES.keys() | {info.encode_name for struct in _STRUCTS for info in fields(struct)}


def is_word(text: str) -> bool:
    """Whether this is a published state, type or code, in whatever spelling."""
    return text in _WORDS or snake_case(text).lower() in _WORDS


def is_name(text: str) -> bool:
    """Whether a field of the protocol is named so, in whatever spelling."""
    return text in _NAMES or own_name(text, _NAMES) is not None


def is_id(text: str) -> bool:
    """Whether this looks like an id, a model or the name of a tool: one word, and not a long one."""
    return len(text) <= _LONGEST_ID and _ID.fullmatch(text) is not None


def known_code(text: str | None) -> str | None:
    """A code that is published; None for anything else, which may be words of anybody."""
    return text if text and text.isascii() and snake_case(text).lower() in CODES else None


def shown_id(text: str) -> str:
    """An id as messages show it; of what is none only its size."""
    return text if is_id(text) else f"one of {len(text):,} signs that is no id"
