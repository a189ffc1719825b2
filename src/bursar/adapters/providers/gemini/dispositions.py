"""What becomes of each property of OpenAI's chat request at the Gemini API."""

from collections.abc import Mapping

from bursar.adapters.providers import Rule
from bursar.adapters.providers.dispositions import forwarded, ignored, refused, translated

_CALLS_ONLY = refused("the provider's tools take JSON input only")
_NO_SPEECH = "answers are text here"
_CACHES_ALONE = ignored("the provider caches prefixes by itself")
_NO_NAMES = refused("the provider does not tell participants of one role apart")
_UNSIGNED = ignored("thoughts are not taken back; the signatures of tool calls ride in their ids")
_NOBODY = ignored("the provider takes no name of an end user; it is kept with the usage here")
_TIER = refused("no price for this tier is kept")

DISPOSITION: Mapping[str, Rule] = {
    "model": translated("the deployment's own model name, in the path"),
    "messages": translated("`contents`; system and developer messages, in order, are `systemInstruction`"),
    "messages[].role=developer": translated("`systemInstruction`"),
    "messages[].role=system": translated("`systemInstruction`"),
    "messages[].role=user": forwarded(),
    "messages[].role=assistant": translated("`model`"),
    "messages[].role=tool": translated("`functionResponse` in a user content"),
    "messages[].role=function": translated("`functionResponse` in a user content"),
    "messages[].content": translated("`parts`"),
    "messages[].content[].type=text": translated("`text`"),
    "messages[].content[].type=image_url": translated("`inlineData` for data URLs, else `fileData`"),
    "messages[].content[].type=input_audio": translated("`inlineData`"),
    "messages[].content[].type=file": translated("`inlineData`, from `file_data`"),
    "messages[].content[].type=refusal": translated("`text`"),
    "messages[].content[].image_url.url": translated("`inlineData` for data URLs, else `fileData`"),
    "messages[].content[].image_url.detail": ignored("a hint on cost; the provider has one way to look"),
    "messages[].content[].file.file_id": refused("files stored elsewhere cannot be read by the provider"),
    "messages[].content[].file.file_data": translated("`inlineData`"),
    "messages[].content[].file.filename": ignored("the provider takes no name of inline data"),
    "messages[].content[].prompt_cache_breakpoint": _CACHES_ALONE,
    "messages[].annotations": ignored("our own answers carry none"),
    "messages[].name": _NO_NAMES,
    "messages[].reasoning": _UNSIGNED,
    "messages[].reasoning_content": _UNSIGNED,
    "messages[].thinking_blocks": _UNSIGNED,
    "messages[].refusal": translated("`text`"),
    "messages[].audio": refused(_NO_SPEECH),
    "messages[].tool_calls": translated("`functionCall` parts"),
    "messages[].tool_calls[].type=function": translated("`functionCall`"),
    "messages[].tool_calls[].type=custom": _CALLS_ONLY,
    "messages[].tool_call_id": translated(
        "`functionResponse.name`, and its `id` where the provider gave one"
    ),
    "messages[].function_call": translated("`functionCall`"),
    "audio": refused(_NO_SPEECH),
    "frequency_penalty": forwarded("`frequencyPenalty`; newer models refuse it"),
    "function_call": translated("`toolConfig.functionCallingConfig`"),
    "functions": translated("`tools[].functionDeclarations`"),
    "logit_bias": refused("the provider does not bias tokens", neutral=({},)),
    "logprobs": refused("probabilities are not translated", neutral=(False,)),
    "max_completion_tokens": translated("`maxOutputTokens`"),
    "max_tokens": translated("`maxOutputTokens`"),
    "metadata": ignored("tags for a store of completions, which is not kept"),
    "modalities": refused(_NO_SPEECH, neutral=(["text"],)),
    "moderation": refused("the provider does not moderate on request"),
    "n": refused("one answer is translated per request", neutral=(1,)),
    "parallel_tool_calls": refused(
        "the provider cannot be kept from calling several tools at once", neutral=(True,)
    ),
    "prediction": ignored("saves time at OpenAI, never changes the answer"),
    "presence_penalty": forwarded("`presencePenalty`; newer models refuse it"),
    "prompt_cache_key": _CACHES_ALONE,
    "prompt_cache_options": _CACHES_ALONE,
    "prompt_cache_options.mode": _CACHES_ALONE,
    "prompt_cache_options.ttl": _CACHES_ALONE,
    "prompt_cache_retention": _CACHES_ALONE,
    "reasoning_effort": translated(
        "`thinkingLevel`, the nearest the model has, or a `thinkingBudget` up to 2.5"
    ),
    "response_format": translated("`responseMimeType` and `responseJsonSchema`"),
    "response_format.type=text": translated("the default"),
    "response_format.type=json_schema": translated("`responseJsonSchema`"),
    "response_format.type=json_object": translated("`responseMimeType`"),
    "safety_identifier": _NOBODY,
    "seed": forwarded("32 bits"),
    "service_tier": translated("`serviceTier`"),
    "service_tier=auto": translated("the default"),
    "service_tier=default": translated("`standard`"),
    "service_tier=flex": forwarded(),
    "service_tier=scale": _TIER,
    "service_tier=priority": _TIER,
    "service_tier=fast": _TIER,
    "stop": translated("`stopSequences`, five at most"),
    "store": refused("answers are not kept", neutral=(False,)),
    "stream": translated("`streamGenerateContent`"),
    "stream_options": translated("see its parts"),
    "stream_options.include_usage": translated("usage always comes; it is passed on when asked for"),
    "stream_options.include_obfuscation": ignored("padding against eavesdroppers, not part of the answer"),
    "temperature": forwarded(),
    "tool_choice": translated("`toolConfig.functionCallingConfig`"),
    "tool_choice=none": translated("`NONE`"),
    "tool_choice=auto": translated("`AUTO`, or `VALIDATED` for strict tools"),
    "tool_choice=required": translated("`ANY`"),
    "tool_choice.type=function": translated("`ANY` with `allowedFunctionNames`"),
    "tool_choice.type=custom": _CALLS_ONLY,
    "tool_choice.type=allowed_tools": translated("only these tools are offered, with `AUTO` or `ANY`"),
    "tools": translated("`functionDeclarations`"),
    "tools[].type=function": translated("`name`, `description`, `parametersJsonSchema`; strict: `VALIDATED`"),
    "tools[].type=custom": _CALLS_ONLY,
    "top_logprobs": refused("probabilities are not translated", neutral=(0,)),
    "top_p": forwarded("`topP`"),
    "user": _NOBODY,
    "verbosity": refused("the provider has no such setting", neutral=("medium",)),
    "web_search_options": refused("searches are billed per call, and have no price here"),
}
