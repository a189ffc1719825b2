"""Zhipu's GLM models: the same API in two regions, whose keys must never meet.

Source: the API references of the two regions. `zhipu` is the one in China, `zai` the one abroad: a provider
is of one kind, and its credentials are its own.
"""

from typing import Any

from bursar.adapters.providers.dispositions import refused
from bursar.adapters.providers.openai_chat import ChatServer, refusals
from bursar.adapters.providers.openai_chat.dispositions import DEAR_TIERS, SEARCHES, SERVERS_OWN
from bursar.adapters.providers.openai_chat.style import Style, effort_of
from bursar.core.chat import ChatRequest


def _thinking(request: ChatRequest, _model: str) -> dict[str, Any]:
    """Thinking is on or off, there is no more or less."""
    effort = effort_of(request)
    if effort is None:
        return {}
    return {"thinking": {"type": "disabled" if effort == "none" else "enabled"}}


DISPOSITION = {
    **SERVERS_OWN,
    **DEAR_TIERS,
    "web_search_options": SEARCHES,
    "logit_bias": refused("the provider does not bias tokens", neutral=({},)),
}
_NO_PENALTIES = "the provider has no penalties"
STYLE = Style(
    options={"temperature": "temperature", "top_p": "top_p"},
    refused={
        "seed": "the provider's sampling cannot be seeded",
        "top_k": "the provider samples by `temperature` and `top_p` only",
        "frequency_penalty": _NO_PENALTIES,
        "presence_penalty": _NO_PENALTIES,
        "parallel_tools": "the model calls as many tools as it wants",
    },
    end_user=None,
    schemas=False,
    hears=False,
    reads_files=False,
    stop_max=1,
    choices={"auto": "auto"},
    reasoning=_thinking,
)


class Zhipu(ChatServer):
    """Provider types `zhipu` and `zai`."""

    style = STYLE
    dispositions = DISPOSITION
    refused = refusals(DISPOSITION)
    tool_types = frozenset({"function", "custom"})

    def __init__(self, kind: str = "zhipu") -> None:
        self.kind = kind
