"""OpenRouter: one API before many providers.

Source: OpenRouter's API reference and its guides to errors, reasoning, caching and usage. Usage always comes,
with the `cost` it charged; that stays in the raw usage, beside our own rating. An error in a stream has
status 200 and comes as a chunk with `error`. Reasoning that was signed goes back in `reasoning_details`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bursar.adapters.providers import Attempt, ProviderFailure, UpstreamRequest
from bursar.adapters.providers.dispositions import ignored
from bursar.adapters.providers.failures import classify, read_error, retry_after_s
from bursar.adapters.providers.openai_chat import ChatServer, refusals
from bursar.adapters.providers.openai_chat.dispositions import DEAR_TIERS, SEARCHES, SERVERS_OWN
from bursar.adapters.providers.openai_chat.style import OPTIONS, Style
from bursar.core.chat import ChatRequest

BUSY_BUDGET = b"in_flight_budget_exhausted"
"""The one error of status 402 that passes by itself: requests under way hold what is left of the balance."""


def _reasoning(request: ChatRequest, _model: str) -> dict[str, Any]:
    """By effort or by tokens: it takes either."""
    if request.effort is not None:
        return {"reasoning": {"effort": request.effort}}
    if request.thinking_tokens is None:
        return {}
    if request.thinking_tokens == 0:
        return {"reasoning": {"effort": "none"}}
    return {"reasoning": {"max_tokens": request.thinking_tokens}}


DISPOSITION = {
    **SERVERS_OWN,
    **DEAR_TIERS,
    "web_search_options": SEARCHES,
    "plugins": SEARCHES,
    "models": ignored("which models stand in for each other is decided here, where their prices are known"),
}
STYLE = Style(
    options={**OPTIONS, "top_k": "top_k"},
    thoughts="reasoning_details",
    cache_mark="cache_control",
    reasoning=_reasoning,
)


class OpenRouter(ChatServer):
    """Provider type `openrouter`."""

    kind = "openrouter"
    style = STYLE
    dispositions = DISPOSITION
    refused = refusals(DISPOSITION)
    tool_types = frozenset({"function", "custom"})
    images = None

    def edit(
        self, raw: Mapping[str, Any], attempt: Attempt, *, stream: bool, headers: Mapping[str, str]
    ) -> UpstreamRequest:
        plain = {name: value for name, value in raw.items() if name != "models"}
        return super().edit(plain, attempt, stream=stream, headers=headers)

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, attempt: Attempt
    ) -> ProviderFailure:
        """As everywhere; a budget that is only busy is no empty account."""
        failure = classify(read_error(body), status, headers, attempt)
        if failure.kind != "billing" or BUSY_BUDGET not in body:
            return failure
        busy = replace(read_error(body), code="", type="")
        limited = classify(busy, _TOO_MANY, headers, attempt)
        limited.retry_after_s, limited.upstream_status = retry_after_s(headers), failure.upstream_status
        return limited


_TOO_MANY = 429
