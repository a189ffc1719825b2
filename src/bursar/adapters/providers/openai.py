"""OpenAI itself: callers speak its dialect, so requests and answers pass through."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from bursar.adapters.providers import PassThrough, Rule
from bursar.adapters.providers.dispositions import forwarded, refused, translated
from bursar.adapters.providers.openai_chat import ChatServer, refusals
from bursar.adapters.providers.openai_chat.messages import short_id
from bursar.adapters.providers.openai_chat.style import Style, reasoning_effort, refuse_reasoning
from bursar.adapters.providers.openai_properties import PROPERTIES
from bursar.adapters.providers.openai_responses import COUNTS, ResponseCounts, ResponsesSurface
from bursar.core.chat import ChatRequest

_NO_PRICE = refused("no price for this tier is kept")
DISPOSITION: Mapping[str, Rule] = {
    **dict.fromkeys(PROPERTIES, forwarded()),
    "model": translated("the deployment's own model name"),
    "max_completion_tokens": translated("lowered when the wallet covers less"),
    "max_tokens": translated("lowered when the wallet covers less"),
    "stream_options": translated("see its parts"),
    "stream_options.include_usage": translated("always on upstream; the usage is passed on when asked for"),
    "service_tier=priority": _NO_PRICE,
    "service_tier=fast": _NO_PRICE,
    "service_tier=scale": _NO_PRICE,
    "web_search_options": refused("searches are billed per call, which the answer's usage does not tell"),
}
_NEVER_REASONS = ("gpt-3", "gpt-4", "chatgpt-")


def _reasoning(request: ChatRequest, model: str) -> dict[str, Any]:
    """Models of the GPT-4 age refuse the property itself; to them, no reasoning needs no words."""
    if model.startswith(_NEVER_REASONS):
        refuse_reasoning(request, "the model does not reason")
        return {}
    return reasoning_effort(request, model)


STYLE = Style(
    output_bound="max_completion_tokens",
    refused={"top_k": "the provider samples by `temperature` and `top_p` only"},
    end_user="safety_identifier",
    thoughts="dropped",
    cache_mark="prompt_cache_breakpoint",
    cache_marked=("gpt-5.6", "gpt-5.7", "gpt-5.8", "gpt-5.9", "gpt-6"),
    tiers=frozenset({"auto", "default", "flex"}),
    stop_max=4,
    call_id=short_id(40),
    reasoning=_reasoning,
)
"""Source: OpenAI's API reference. In this dialect it keeps its reasoning, so there is none to go back."""


_COUNTS = ResponseCounts()


class OpenAI(ChatServer):
    """Provider type `openai`."""

    kind = "openai"
    style = STYLE
    dispositions = DISPOSITION
    refused = refusals(DISPOSITION)
    responses = ResponsesSurface()

    @cached_property
    def passes(self) -> Mapping[str, PassThrough]:
        return {**super().passes, COUNTS: _COUNTS}
