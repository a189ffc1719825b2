"""Which passwords are taken: judged by how many guesses they stand, known passwords and names included."""

import re
from collections.abc import Sequence
from typing import Final

from zxcvbn_rs_py import zxcvbn

from bursar.rest.problems import Invalid

PASSWORD_LENGTH_MIN: Final = 10
JUDGED_LENGTH_MAX: Final = 24
"""zxcvbn's work grows faster than the cube of the length: a second for 128 characters, in which the server
does nothing else, for any stranger. So a long password is judged in pieces, and is as good as its best."""

UNKNOWN_LENGTH_MIN: Final = 8
NAME_LENGTH_MIN: Final = 3
PARTS: Final = re.compile(r"\w+")

SCORE_MIN: Final = 3
"""zxcvbn's "safely unguessable": 10^8 guesses and more. It knows the passwords that leak most."""


class PasswordWeak(Invalid):
    code = "password_weak"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


def check_password(password: str, about_him: Sequence[str]) -> None:
    """`about_him`: what a guesser would try first: his name, address, company.

    Raises:
        PasswordWeak: too short, or too easy to guess.
    """
    if len(password) < PASSWORD_LENGTH_MIN:
        raise PasswordWeak(
            f"This password is too easy to guess: it needs {PASSWORD_LENGTH_MIN} characters or more."
        )
    known = [part for text in about_him for part in (text.lower(), *PARTS.findall(text.lower())) if part]
    if not _is_hard(password, known) or _without(password, known) < UNKNOWN_LENGTH_MIN:
        raise PasswordWeak(
            "This password is too easy to guess: take more words, and none of your name or address."
        )


def _is_hard(password: str, known: Sequence[str]) -> bool:
    pieces = (password[at : at + JUDGED_LENGTH_MAX] for at in range(0, len(password), JUDGED_LENGTH_MAX))
    return any(int(zxcvbn(piece, list(known)).score) >= SCORE_MIN for piece in pieces)


def _without(password: str, known: Sequence[str]) -> int:
    """How long it is without what is known of him: zxcvbn counts a digit after two names for much."""
    rest = password.lower()
    for part in known:
        if len(part) >= NAME_LENGTH_MIN:
            rest = rest.replace(part, "")
    return len(rest)
