"""What is known of each kind of provider before anybody says more: where it is, and what a hang-up does.

Sources: the providers' API references; OpenRouter's list of the providers at which a closed connection stops
generation and billing. Where that is not known, a hang-up is read on: the figures stay true, for the price of
output that nobody sees.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

Kind = Literal[
    "openai",
    "anthropic",
    "gemini",
    "xai",
    "mistral",
    "deepseek",
    "zhipu",
    "zai",
    "openrouter",
    "azure_openai",
    "groq",
    "together",
    "ollama",
    "vllm",
    "openai_compatible",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Place(NamedTuple):
    """The maker's own address (`None`: there is none), and whether a closed connection stops its meter."""

    base_url: str | None
    aborts_stop_billing: bool


PLACES: Final[Mapping[Kind, Place]] = {
    "openai": Place("https://api.openai.com/v1", aborts_stop_billing=True),
    "anthropic": Place("https://api.anthropic.com/v1", aborts_stop_billing=True),
    "gemini": Place("https://generativelanguage.googleapis.com/v1beta", aborts_stop_billing=False),
    "xai": Place("https://api.x.ai/v1", aborts_stop_billing=True),
    "mistral": Place("https://api.mistral.ai/v1", aborts_stop_billing=False),
    "deepseek": Place("https://api.deepseek.com", aborts_stop_billing=True),
    "zhipu": Place("https://open.bigmodel.cn/api/paas/v4", aborts_stop_billing=False),
    "zai": Place("https://api.z.ai/api/paas/v4", aborts_stop_billing=False),
    "openrouter": Place("https://openrouter.ai/api/v1", aborts_stop_billing=False),
    "azure_openai": Place(None, aborts_stop_billing=True),
    "groq": Place("https://api.groq.com/openai/v1", aborts_stop_billing=False),
    "together": Place("https://api.together.xyz/v1", aborts_stop_billing=True),
    "ollama": Place("http://localhost:11434/v1", aborts_stop_billing=True),
    "vllm": Place(None, aborts_stop_billing=True),
    "openai_compatible": Place(None, aborts_stop_billing=True),
}
FOREIGN_HOSTS: Final[Mapping[Kind, frozenset[str]]] = {
    "zhipu": frozenset({"api.z.ai"}),
    "zai": frozenset({"open.bigmodel.cn"}),
}
"""Hosts of the same maker in another region: a key of one must never be sent to the other."""
