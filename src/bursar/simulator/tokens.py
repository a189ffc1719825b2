"""The simulator's own tokenizer: simple, exact, reversible.

Rule: a token is at most one whitespace character followed by either up to five ASCII letters, up to three
digits, or one other character; whitespace that precedes nothing of the kind is a token of its own.
`"".join(pieces(t)) == t`. Texts longer than `EXACT_CHARACTERS` are counted on that many first characters and
scaled up.
"""

import re

EXACT_CHARACTERS = 262_144
"""Beyond this, counting a request would cost more than serving it."""

_TOKEN = re.compile(r"\s?[A-Za-z]{1,5}|\s?[0-9]{1,3}|\s?[^\sA-Za-z0-9]|\s+")


def pieces(text: str) -> list[str]:
    """Cut a text into its tokens."""
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """How many tokens a text has."""
    if len(text) <= EXACT_CHARACTERS:
        return len(_TOKEN.findall(text))
    return len(_TOKEN.findall(text, 0, EXACT_CHARACTERS)) * len(text) // EXACT_CHARACTERS
