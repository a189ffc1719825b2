"""Mistral: close to OpenAI's chat dialect, but not the same, so callers of it are translated too.

Source: Mistral's API reference and Python SDK, `ChatCompletionRequest`. Properties it does not know are an
error; ids of tool calls are nine letters and digits; content comes in chunks where a model reasons; usage
comes with the last chunk unasked. `prompt_tokens` includes cached ones; reasoning is inside
`completion_tokens` and not told apart.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from bursar.adapters.providers import PassThrough, Rule
from bursar.adapters.providers.dispositions import forwarded, ignored, refused, translated
from bursar.adapters.providers.openai_chat import EMBEDDINGS, ChatServer
from bursar.adapters.providers.openai_chat.messages import hashed
from bursar.adapters.providers.openai_chat.style import CHOICES, OPTIONS, Style, effort_of
from bursar.adapters.providers.openai_properties import PROPERTIES
from bursar.adapters.providers.openai_usage import read_usage
from bursar.core.chat import ChatRequest
from bursar.core.usage import Usage

_CALL_ID = re.compile(r"[A-Za-z0-9]{9}", re.ASCII)
_CALL_ID_LENGTH = 9
_ALWAYS_REASONS = "magistral"

_NO_AUDIO = refused("sound is billed by the second, which is not priced here")
_NO_CUSTOM = refused("the provider's tools take JSON input only")
_NO_NAMES = refused("the provider does not tell participants of one role apart")
_NOT_SAID = "the provider gives no probabilities"
_NO_TIER = refused("the provider has no such tier")
_HINT = ignored("a hint to OpenAI's cache")
DISPOSITION: Mapping[str, Rule] = {
    **dict.fromkeys(PROPERTIES, forwarded()),
    "audio": _NO_AUDIO,
    "function_call": translated("`tool_choice`"),
    "functions": translated("`tools`"),
    "logit_bias": refused("the provider does not bias tokens", neutral=({},)),
    "logprobs": refused(_NOT_SAID, neutral=(False,)),
    "max_completion_tokens": translated("`max_tokens`"),
    "messages[].annotations": ignored("our own answers carry none"),
    "messages[].audio": _NO_AUDIO,
    "messages[].content[].file.file_data": translated("`document_url`"),
    "messages[].content[].file.file_id": refused("files stored elsewhere cannot be read there"),
    "messages[].content[].file.filename": translated("`document_name`"),
    "messages[].content[].image_url.detail": ignored("the provider has one way to look"),
    "messages[].content[].prompt_cache_breakpoint": ignored("the provider caches by itself"),
    "messages[].content[].type=file": translated("`document_url`"),
    "messages[].content[].type=input_audio": _NO_AUDIO,
    "messages[].content[].type=refusal": translated("text"),
    "messages[].function_call": translated("`tool_calls`"),
    "messages[].name": _NO_NAMES,
    "messages[].reasoning": ignored("`thinking_blocks` carries it"),
    "messages[].reasoning_content": ignored("`thinking_blocks` carries it"),
    "messages[].refusal": translated("text"),
    "messages[].role=developer": translated("`system`"),
    "messages[].role=function": translated("`tool`"),
    "messages[].thinking_blocks": translated("chunks of the content"),
    "messages[].tool_call_id": translated("nine letters and digits"),
    "messages[].tool_calls[].type=custom": _NO_CUSTOM,
    "metadata": ignored("tags for a store of completions, which is not kept"),
    "modalities": refused("sound is not spoken", neutral=(["text"],)),
    "model": translated("the deployment's own model name"),
    "moderation": refused("the provider does not moderate on request"),
    "n": refused("one answer is translated at a time", neutral=(1,)),
    "prediction": ignored("saves time, never changes the answer"),
    "prompt_cache_key": _HINT,
    "prompt_cache_options": _HINT,
    "prompt_cache_options.mode": _HINT,
    "prompt_cache_options.ttl": _HINT,
    "prompt_cache_retention": _HINT,
    "reasoning_effort": translated(
        "`high`, left out for `none`, or `prompt_mode` where the model is Magistral"
    ),
    "response_format.type=text": translated("the default"),
    "safety_identifier": ignored("the provider keeps no account of end users"),
    "seed": translated("`random_seed`"),
    "service_tier": ignored("the provider's one tier"),
    "service_tier=auto": ignored("the provider's one tier"),
    "service_tier=default": ignored("the provider's one tier"),
    "service_tier=fast": _NO_TIER,
    "service_tier=flex": _NO_TIER,
    "service_tier=priority": _NO_TIER,
    "service_tier=scale": _NO_TIER,
    "store": refused("answers are not kept", neutral=(False,)),
    "stream_options": translated("see its parts"),
    "stream_options.include_obfuscation": ignored("padding against eavesdroppers, not part of the answer"),
    "stream_options.include_usage": translated("usage always comes; it is passed on when asked for"),
    "tool_choice.type=allowed_tools": translated("only these tools are offered"),
    "tool_choice.type=custom": _NO_CUSTOM,
    "tool_choice=required": translated("`any`"),
    "tools[].type=custom": _NO_CUSTOM,
    "top_logprobs": refused(_NOT_SAID, neutral=(0,)),
    "user": ignored("the provider keeps no account of end users"),
    "verbosity": refused("the provider has no such setting", neutral=("medium",)),
    "web_search_options": refused("searches by the provider are not sold here"),
}


def _call_id(call_id: str) -> str:
    return call_id if _CALL_ID.fullmatch(call_id) else hashed(call_id)[:_CALL_ID_LENGTH]


def _reasoning(request: ChatRequest, model: str) -> dict[str, Any]:
    """Models that can reason do so when told `high`; Magistral always does, in a mode of its prompt."""
    if effort_of(request) in {None, "none"}:
        return {}
    return {"prompt_mode": "reasoning"} if model.startswith(_ALWAYS_REASONS) else {"reasoning_effort": "high"}


STYLE = Style(
    options={**OPTIONS, "seed": "random_seed"},
    refused={"top_k": "the provider samples by `temperature` and `top_p` only"},
    end_user=None,
    thoughts="chunks",
    hears=False,
    documents="document_url",
    stream_options=False,
    call_id=_call_id,
    choices={**CHOICES, "required": "any"},
    reasoning=_reasoning,
)


class Mistral(ChatServer):
    """Provider type `mistral`."""

    kind = "mistral"
    style = STYLE
    dispositions = DISPOSITION
    images = None

    @cached_property
    def passes(self) -> Mapping[str, PassThrough]:
        return {"openai_embeddings": EMBEDDINGS}

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        """As OpenAI's; the tier that served is inside the usage."""
        tier = raw.get("service_tier")
        return read_usage(raw, service_tier=tier if isinstance(tier, str) else service_tier)
