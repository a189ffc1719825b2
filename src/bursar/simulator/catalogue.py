"""Which models the simulated providers know, and what each accepts."""

from dataclasses import dataclass, fields
from typing import Any

from bursar.simulator import shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model as a provider sees it.

    Attributes:
        name: as asked for.
        snapshot: as answered.
        output_max: most output tokens of one answer.
        reasoning: OpenAI reasoning model: no `max_tokens`, no sampling parameters, hidden reasoning tokens.
        cache_writes: OpenAI model that reports (and charges) cache writes.
        sampling: Claude model that takes `temperature`, `top_p`, `top_k`.
        manual_thinking: takes `thinking.type = enabled`.
        adaptive_thinking: takes `thinking.type = adaptive`.
        thinks_unasked: returns thinking when `thinking` is absent.
        prefill: takes a final assistant message to continue.
        system_turns: takes `role: system` inside `messages`.
        cache_tokens_min: shortest prompt that is cached.
        thinking_off: Gemini model whose thinking can be switched off.
        signatures: Gemini model that insists on the thought signatures of the turn's tool calls.
        embeds: makes embeddings and answers nothing.
    """

    name: str
    snapshot: str
    output_max: int = 128_000
    reasoning: bool = False
    cache_writes: bool = False
    sampling: bool = True
    manual_thinking: bool = True
    adaptive_thinking: bool = True
    thinks_unasked: bool = False
    prefill: bool = True
    system_turns: bool = False
    cache_tokens_min: int = 1024
    thinking_off: bool = True
    signatures: bool = False
    embeds: bool = False


class Catalogue:
    """The models of one provider."""

    def __init__(self, provider: str) -> None:
        listed: dict[str, Any] = shapes.load("models")[provider]
        known = {f.name for f in fields(Model)}
        self.models = {
            name: Model(
                name=name,
                snapshot=listed["snapshots"].get(name, name),
                **{key: value for key, value in _family(listed, name).items() if key in known},
            )
            for name in listed["models"]
        }

    def find(self, name: str) -> Model | None:
        return self.models.get(name)


def _family(listed: dict[str, Any], name: str) -> dict[str, Any]:
    family: dict[str, Any] = next(one for one in listed["families"] if name.startswith(one["prefix"]))
    return family


OPENAI = Catalogue("openai")
ANTHROPIC = Catalogue("anthropic")
GOOGLE = Catalogue("google")
