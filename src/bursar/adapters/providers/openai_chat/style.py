"""How one server's chat dialect differs from OpenAI's own, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bursar.core.chat import ChatRequest, unsupported

Knobs = Callable[[ChatRequest, str], dict[str, Any]]
"""The properties that ask a model (by the provider's name) for as much reasoning as the request wants."""

OPTIONS: Mapping[str, str] = {
    name: name for name in ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
}
"""Canonical field → OpenAI's name, for what is a number or a name and goes as it is."""

CHOICES: Mapping[str, str] = {
    "auto": "auto", "none": "none", "required": "required", "named": "function"
}  # fmt: skip
"""Canonical choice of tools → OpenAI's name."""

Thoughts = Literal["dropped", "reasoning_content", "reasoning", "reasoning_details", "chunks"]
_BUDGETS = ((2_048, "low"), (8_192, "medium"))
"""Thinking budgets up to so many tokens, and the effort that spends about as much; above: high."""


def effort_of(request: ChatRequest) -> str | None:
    """The effort asked for; a budget in tokens is the effort that spends about as much."""
    if request.effort is not None or request.thinking_tokens is None:
        return request.effort
    if request.thinking_tokens == 0:
        return "none"
    return next((effort for most, effort in _BUDGETS if request.thinking_tokens <= most), "high")


def reasoning_effort(request: ChatRequest, _model: str) -> dict[str, Any]:
    """OpenAI's `reasoning_effort`; the server decides which values its model knows."""
    effort = effort_of(request)
    return {} if effort is None else {"reasoning_effort": effort}


def refuse_reasoning(request: ChatRequest, why: str) -> None:
    """Raise `BadRequest` by the name the caller used, when he asked for reasoning at all."""
    if effort_of(request) in {None, "none"}:
        return
    name = "effort" if request.effort is not None else "thinking_tokens"
    raise unsupported(request.named(name), why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One server's ways.

    * `output_bound`: the property that bounds the output;
    * `options`: canonical field → its name there; `refused`: canonical field → why it is not;
    * `thoughts`: how an assistant's reasoning goes back: not at all, or under this name;
    * `cache_mark`: how the end of a prefix worth caching is marked (`auto`: the server caches by itself);
    * `cache_marked`: the beginnings of the models that take marks (all, when empty);
    * `flat`: messages of text alone are one string, never an array of parts;
    * `call_id`: what becomes of the ids of tool calls; `choices`: canonical choice of tools → its name there;
    * `schemas`: answers may be held to a JSON schema; `sees`, `hears`, `reads_files`: what may go in;
    * `stream_options`: usage comes in streams only when asked for;
    * `tiers`: service tiers that have a price here; `stop_max`: the most stop sequences.
    """

    output_bound: str = "max_tokens"
    options: Mapping[str, str] = field(default_factory=lambda: OPTIONS)
    refused: Mapping[str, str] = field(default_factory=dict)
    end_user: str | None = "user"
    thoughts: Thoughts = "reasoning_content"
    cache_mark: Literal["auto", "prompt_cache_breakpoint", "cache_control"] = "auto"
    cache_marked: tuple[str, ...] = ()
    flat: bool = False
    schemas: bool = True
    sees: bool = True
    hears: bool = True
    reads_files: bool = True
    documents: Literal["file", "document_url"] = "file"
    tiers: frozenset[str] = frozenset()
    stream_options: bool = True
    stop_max: int | None = None
    call_id: Callable[[str], str] = str
    choices: Mapping[str, str] = field(default_factory=lambda: CHOICES)
    reasoning: Knobs = reasoning_effort
