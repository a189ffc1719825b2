"""DeepSeek.

Source: DeepSeek's API reference and its guides to thinking and to caching. `prompt_tokens` is the sum of
cache hits and misses; the reasoning of an answer that called tools must come back with their results, or the
request is refused. A busy server sends blank lines before a whole answer and comments in a stream, and may
end an answer with `insufficient_system_resource`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bursar.adapters.providers.counts import whole_number
from bursar.adapters.providers.dispositions import refused
from bursar.adapters.providers.openai_chat import ChatServer, refusals
from bursar.adapters.providers.openai_chat.dispositions import DEAR_TIERS, SERVERS_OWN
from bursar.adapters.providers.openai_chat.style import OPTIONS, Style, effort_of
from bursar.adapters.providers.openai_usage import FLAG_TOTAL_MISMATCH, read_usage
from bursar.core.chat import ChatRequest
from bursar.core.usage import Usage

_MOST = frozenset({"xhigh", "max"})
_HITS, _MISSES = "prompt_cache_hit_tokens", "prompt_cache_miss_tokens"


def _thinking(request: ChatRequest, _model: str) -> dict[str, Any]:
    """Thinking is on unless switched off; it knows two efforts, `high` and `max`."""
    effort = effort_of(request)
    if effort is None:
        return {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    return {"thinking": {"type": "enabled"}, "reasoning_effort": "max" if effort in _MOST else "high"}


DISPOSITION = {
    **SERVERS_OWN,
    **DEAR_TIERS,
    "logit_bias": refused("the provider does not bias tokens", neutral=({},)),
}
STYLE = Style(
    options={name: written for name, written in OPTIONS.items() if name != "seed"},
    refused={
        "seed": "the provider's sampling cannot be seeded",
        "top_k": "the provider samples by `temperature` and `top_p` only",
    },
    end_user=None,
    flat=True,
    schemas=False,
    sees=False,
    hears=False,
    reads_files=False,
    stop_max=16,
    reasoning=_thinking,
)


class DeepSeek(ChatServer):
    """Provider type `deepseek`."""

    kind = "deepseek"
    style = STYLE
    dispositions = DISPOSITION
    refused = refusals(DISPOSITION)
    embeddings = None
    images = None

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        """As OpenAI's; hits and misses that are not the whole prompt are flagged."""
        usage = read_usage(raw, service_tier=service_tier)
        hits, misses = whole_number(raw.get(_HITS)), whole_number(raw.get(_MISSES))
        if usage is None or hits is None or misses is None or usage.input_tokens == hits + misses:
            return usage
        return replace(usage, flags=(*usage.flags, FLAG_TOTAL_MISMATCH))
