"""What becomes of each property of a request for a response at a provider of another dialect.

What a particular provider cannot do beyond this, its translator refuses by the caller's own name.
"""

from collections.abc import Mapping

from bursar.adapters.providers import Rule
from bursar.adapters.providers.dispositions import ignored, refused, translated

_ECHOED = translated("told back in the answer")
_CANONICAL = translated("said in the provider's own words")
_HINT = ignored("a hint to OpenAI's cache")
_OWN = ignored("it names or describes what the provider has no need of")
_OPENAIS = refused("only OpenAI has it")
_OPENAIS_ITEM = refused("only OpenAI's models understand it")
_NO_TIER = refused("the provider has no such tier")
_NOTHING_TO_INCLUDE = refused("the provider gives nothing of the kind")
_FILES = refused("files stored elsewhere cannot be read by the provider")

DISPOSITION: Mapping[str, Rule] = {
    "model": translated("the deployment's own model name"),
    "input": _CANONICAL,
    "instructions": translated("a system message before the others"),
    "max_output_tokens": _CANONICAL,
    "max_tool_calls": ignored("it bounds calls of OpenAI's own tools, of which there are none"),
    "metadata": _ECHOED,
    "parallel_tool_calls": _CANONICAL,
    "previous_response_id": translated("what was said before is sent along"),
    "prompt_cache_key": _HINT,
    "prompt_cache_options": translated("see its parts"),
    "prompt_cache_options.mode": ignored("the marked blocks are cached, which is `explicit`"),
    "prompt_cache_options.ttl": _CANONICAL,
    "prompt_cache_retention": _HINT,
    "reasoning": translated("see its parts"),
    "reasoning.context": refused("only OpenAI has it", neutral=("auto",)),
    "reasoning.effort": _CANONICAL,
    "reasoning.generate_summary": ignored("what the provider shows of its reasoning is shown"),
    "reasoning.mode": refused("only OpenAI has it", neutral=("standard",)),
    "reasoning.summary": ignored("what the provider shows of its reasoning is shown"),
    "safety_identifier": _CANONICAL,
    "service_tier": _CANONICAL,
    "service_tier=auto": _CANONICAL,
    "service_tier=default": _CANONICAL,
    **{f"service_tier={tier}": _NO_TIER for tier in ("fast", "flex", "priority", "scale", "ultrafast")},
    "store": translated("kept here where the organisation says so"),
    "stream": _CANONICAL,
    "stream_options": translated("see its parts"),
    "stream_options.include_obfuscation": ignored("padding against eavesdroppers, not part of the answer"),
    "temperature": _CANONICAL,
    "text": translated("see its parts"),
    "text.format": translated("see its types"),
    "text.format.type=json_object": _CANONICAL,
    "text.format.type=json_schema": _CANONICAL,
    "text.format.type=text": translated("the default"),
    "text.verbosity": refused("the provider has no such setting", neutral=("medium",)),
    "tool_choice": translated("see its values"),
    "tool_choice.type": _OPENAIS,
    "tool_choice.type=allowed_tools": translated("only these tools are offered"),
    "tool_choice.type=function": _CANONICAL,
    "tool_choice=auto": _CANONICAL,
    "tool_choice=none": _CANONICAL,
    "tool_choice=required": _CANONICAL,
    "tools": translated("see its types"),
    "tools[].allowed_callers": _OPENAIS,
    "tools[].defer_loading": refused("only OpenAI has it", neutral=(False,)),
    "tools[].description": _CANONICAL,
    "tools[].name": _CANONICAL,
    "tools[].output_schema": ignored("it describes results to OpenAI's own programs"),
    "tools[].parameters": _CANONICAL,
    "tools[].strict": _CANONICAL,
    "tools[].type": refused("the provider runs no tools of OpenAI's"),
    "tools[].type=function": _CANONICAL,
    "top_logprobs": refused("the provider gives no probabilities", neutral=(0,)),
    "top_p": _CANONICAL,
    "truncation": refused("the provider does not shorten conversations", neutral=("disabled",)),
    "truncation=auto": refused("the provider does not shorten conversations"),
    "truncation=disabled": translated("the default"),
    "user": _CANONICAL,
    "background": refused("answers are given at once", neutral=(False,)),
    "context_management": _OPENAIS,
    "conversation": refused("conversations are not kept; `previous_response_id` continues a response"),
    "include": translated("see its values"),
    "include[]": _NOTHING_TO_INCLUDE,
    "include[]=reasoning.encrypted_content": translated(
        "what makes reasoning go back unchanged always comes"
    ),
    "moderation": _OPENAIS,
    "prompt": _OPENAIS,
    "input[].arguments": _CANONICAL,
    "input[].call_id": _CANONICAL,
    "input[].caller": _OPENAIS_ITEM,
    "input[].content": _CANONICAL,
    "input[].content[].annotations": _OWN,
    "input[].content[].detail": ignored("a hint on cost; the provider has one way to look"),
    "input[].content[].file_data": _CANONICAL,
    "input[].content[].file_id": _FILES,
    "input[].content[].file_url": refused("the provider reads no files by address"),
    "input[].content[].filename": _CANONICAL,
    "input[].content[].image_url": _CANONICAL,
    "input[].content[].logprobs": _OWN,
    "input[].content[].prompt_cache_breakpoint": _CANONICAL,
    "input[].content[].refusal": _CANONICAL,
    "input[].content[].text": _CANONICAL,
    "input[].content[].type": _OPENAIS_ITEM,
    **{
        f"input[].content[].type={kind}": _CANONICAL
        for kind in ("input_file", "input_image", "input_text", "output_text", "refusal", "reasoning_text")
    },
    "input[].encrypted_content": translated("what the provider signed goes back; OpenAI's own is left out"),
    "input[].id": _OWN,
    "input[].name": _CANONICAL,
    "input[].namespace": _OPENAIS_ITEM,
    "input[].output": _CANONICAL,
    "input[].output[].type": _OPENAIS_ITEM,
    "input[].output[].type=input_image": _CANONICAL,
    "input[].output[].type=input_text": _CANONICAL,
    "input[].phase": _OWN,
    "input[].role": refused("there is no such role"),
    **{f"input[].role={role}": _CANONICAL for role in ("assistant", "developer", "system", "user")},
    "input[].status": _OWN,
    "input[].summary": _CANONICAL,
    "input[].type": _OPENAIS_ITEM,
    **{
        f"input[].type={kind}": _CANONICAL
        for kind in ("function_call", "function_call_output", "message", "reasoning")
    },
    "input[].type=item_reference": refused(
        "items are not kept one by one; send them, or `previous_response_id`"
    ),
}
