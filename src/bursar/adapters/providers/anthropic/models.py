"""What Claude models of different ages accept, as data.

Source: Anthropic's model pages and migration guides (public). Sampling parameters ended with Claude 4.6; a
thinking budget in tokens ended with Claude 4.5, from 4.6 on the model decides and `effort` steers it. A
name that is not listed is taken for a new model.
"""

_BUDGETED = (
    "claude-3", "claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2", "claude-opus-4-5",
    "claude-sonnet-4-0", "claude-sonnet-4-2", "claude-sonnet-4-5", "claude-haiku-4-5",
)  # fmt: skip
_SAMPLED = (*_BUDGETED, "claude-opus-4-6", "claude-sonnet-4-6")


def thinks_by_budget(model: str) -> bool:
    """Whether thinking is set as a number of tokens."""
    return model.startswith(_BUDGETED)


def takes_sampling(model: str) -> bool:
    """Whether `temperature` and `top_p` may be sent."""
    return model.startswith(_SAMPLED)
