"""Servers that speak OpenAI's chat dialect and need no more than data to be told apart.

Source: their public API references: Groq, Together, Ollama ("OpenAI compatibility"), vLLM ("OpenAI-compatible
server"). `openai_compatible` stands for every other one, at a base URL of its own.
"""

from collections.abc import Mapping

from bursar.adapters.providers import Rule
from bursar.adapters.providers.openai_chat import EMBEDDINGS, IMAGES, ChatServer, refusals
from bursar.adapters.providers.openai_chat.dispositions import DEAR_TIERS, SERVERS_OWN
from bursar.adapters.providers.openai_chat.style import OPTIONS, Style

_NO_TOP_K = {"top_k": "the server samples by `temperature` and `top_p` only"}
_SAMPLERS = {**OPTIONS, "top_k": "top_k"}


class OpenAICompatible(ChatServer):
    """One kind of server. `openai_compatible` itself takes whatever it is given."""

    def __init__(
        self,
        kind: str = "openai_compatible",
        style: Style | None = None,
        dispositions: Mapping[str, Rule] = SERVERS_OWN,
        *,
        embeddings: bool = True,
        images: bool = True,
    ) -> None:
        self.kind = kind
        self.style = style or Style(options=_SAMPLERS)
        self.dispositions = dispositions
        self.refused = refusals(dispositions)
        self.embeddings = EMBEDDINGS if embeddings else None
        self.images = IMAGES if images else None


def servers() -> list[OpenAICompatible]:
    """One adapter for each kind."""
    return [
        OpenAICompatible(),
        OpenAICompatible(
            "groq",
            Style(refused=_NO_TOP_K, thoughts="dropped", hears=False, reads_files=False, stop_max=4),
            {**SERVERS_OWN, **DEAR_TIERS},
            embeddings=False,
            images=False,
        ),
        OpenAICompatible(
            "together", Style(options=_SAMPLERS, thoughts="dropped", hears=False, reads_files=False)
        ),
        OpenAICompatible(
            "ollama",
            Style(
                refused={
                    **_NO_TOP_K,
                    "parallel_tools": "the server calls as many tools as the model wants",
                },
                end_user=None,
                thoughts="reasoning",
                hears=False,
                reads_files=False,
                choices={"auto": "auto"},
            ),
            images=False,
        ),
        OpenAICompatible("vllm", Style(options=_SAMPLERS, reads_files=False), images=False),
    ]
