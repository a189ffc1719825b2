"""What becomes of each property of a request for a response at OpenAI itself; unknown ones pass."""

from collections.abc import Mapping

from bursar.adapters.providers import Rule
from bursar.adapters.providers.dispositions import forwarded, refused, translated

_NO_PRICE = refused("no price for this tier is kept")
_PER_CALL = refused("the provider bills it per call, which the usage does not tell")
_REMOTE = refused("what it brings in is billed as input and has no bound")
_LATER = refused("tools that are named later may be billed per call")
_UNBOUND = refused("what it costs is not bounded by the request")
_ELSEWHERE = refused("nothing is kept at the provider")
_HOSTED = refused("it runs at the provider and is billed by time")

_FORWARDED = (
    "include[]", "input", "instructions", "max_tool_calls", "metadata", "moderation", "parallel_tool_calls",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_options.mode", "prompt_cache_options.ttl",
    "prompt_cache_retention", "reasoning", "reasoning.context", "reasoning.effort",
    "reasoning.generate_summary", "reasoning.summary", "safety_identifier", "service_tier", "stream",
    "stream_options", "stream_options.include_obfuscation", "temperature", "text", "text.format",
    "text.format.type", "text.verbosity", "tool_choice", "tool_choice.type", "tools", "top_logprobs", "top_p",
    "truncation", "user", "input[].arguments", "input[].call_id", "input[].caller", "input[].content",
    "input[].content[].annotations", "input[].content[].detail", "input[].content[].file_data",
    "input[].content[].file_id", "input[].content[].file_url", "input[].content[].filename",
    "input[].content[].image_url", "input[].content[].logprobs",
    "input[].content[].prompt_cache_breakpoint", "input[].content[].refusal", "input[].content[].text",
    "input[].content[].type", "input[].encrypted_content", "input[].id", "input[].name",
    "input[].namespace", "input[].output", "input[].output[].type", "input[].phase", "input[].role",
    "input[].status", "input[].summary", "input[].type", "tools[].defer_loading", "tools[].description",
    "tools[].name", "tools[].output_schema", "tools[].parameters", "tools[].strict",
)  # fmt: skip
_CLIENTS_TOOLS = (
    "apply_patch", "computer", "computer_use_preview", "custom", "function", "local_shell", "namespace",
    "shell",
)  # fmt: skip
"""Run by the caller: the provider only writes the call."""

DISPOSITION: Mapping[str, Rule] = {
    **dict.fromkeys(_FORWARDED, forwarded()),
    **{f"tools[].type={kind}": forwarded() for kind in _CLIENTS_TOOLS},
    "model": translated("the deployment's own model name"),
    "max_output_tokens": translated("lowered when the wallet covers less"),
    "store": translated("never at the provider; kept here where the organisation says so"),
    "previous_response_id": translated("what was said before is sent along"),
    "include": translated("where reasoning is asked for and kept here, it is asked for encrypted"),
    "background": refused("answers are given at once", neutral=(False,)),
    "conversation": _ELSEWHERE,
    "prompt": refused("prompts stored at the provider cannot be used"),
    "context_management": _UNBOUND,
    "reasoning.mode": refused("no price for other modes is kept", neutral=("standard",)),
    "service_tier=fast": _NO_PRICE,
    "service_tier=priority": _NO_PRICE,
    "service_tier=scale": _NO_PRICE,
    "service_tier=ultrafast": _NO_PRICE,
    "input[].type=additional_tools": _LATER,
    "input[].type=compaction_trigger": _UNBOUND,
    "input[].type=item_reference": _ELSEWHERE,
    "input[].type=mcp_approval_response": _REMOTE,
    "input[].type=program": _HOSTED,
    "input[].type=program_output": _HOSTED,
    "input[].type=tool_search_output": _LATER,
    "tools[].allowed_callers": _HOSTED,
    "tools[].environment.type": _HOSTED,
    "tools[].environment.type=local": forwarded(),
    "tools[].type": _PER_CALL,
    "tools[].type=mcp": _REMOTE,
    "tools[].type=programmatic_tool_calling": _HOSTED,
    "tools[].type=tool_search": _LATER,
}
