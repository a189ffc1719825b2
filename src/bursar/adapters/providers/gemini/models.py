"""What Gemini models of different ages accept, as data.

Source: the Gemini API's pages on thinking and on thought signatures (public). Models up to 2.5 take a
thinking budget in tokens; from 3 on they take a level, think always, and insist that the tool calls of the
current turn come back with their thought signatures. A name that is not listed is taken for a new model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_OLD = ("gemini-1", "gemini-2.0", "gemma", "learnlm")
_BUDGETED = "gemini-2.5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Thinking budgets a model takes; `off`: zero switches thinking off."""

    least: int
    most: int
    off: bool


_BUDGETS: tuple[tuple[str, Budgets], ...] = (
    ("gemini-2.5-pro", Budgets(least=128, most=32_768, off=False)),
    ("gemini-2.5-flash-lite", Budgets(least=512, most=24_576, off=True)),
    ("gemini-2.5", Budgets(least=1, most=24_576, off=True)),
)
_LEVELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gemini-3-pro", ("low", "high")),
    ("gemini-3.1-pro", ("low", "medium", "high")),
    ("", ("minimal", "low", "medium", "high")),
)
_NEAREST: Mapping[str, tuple[str, ...]] = {
    "minimal": ("minimal", "low"),
    "low": ("low",),
    "medium": ("medium", "high"),
    "high": ("high",),
    "xhigh": ("high",),
    "max": ("high",),
}
"""Effort → levels, best first: a model that lacks one gets the next."""


def bare(model: str) -> str:
    """The name without `models/` in front."""
    return model.removeprefix("models/")


def thinks(model: str) -> bool:
    """Whether the model reasons at all."""
    return not bare(model).startswith(_OLD)


def budgets(model: str) -> Budgets | None:
    """The budgets it takes; None: it takes a level."""
    return next((found for start, found in _BUDGETS if bare(model).startswith(start)), None)


def level(model: str, effort: str) -> str:
    """The level, as the API's enum has it, that comes nearest to an effort other than `none`."""
    known = next(levels for start, levels in _LEVELS if bare(model).startswith(start))
    return next(one for one in _NEAREST[effort] if one in known).upper()


def signs_calls(model: str) -> bool:
    """Whether tool calls of the current turn must come back signed."""
    return bare(model).startswith("gemini-") and not bare(model).startswith((*_OLD, _BUDGETED))
