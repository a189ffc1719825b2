"""Which passwords are taken: judged by how many guesses they stand, known passwords and names included."""

from collections.abc import Sequence
from typing import Final

from zxcvbn_rs_py import zxcvbn

from bursar.rest.problems import Invalid

PASSWORD_LENGTH_MIN: Final = 10
PASSWORD_LENGTH_MAX: Final = 128
"""What is longer is hashed no better; NIST SP 800-63B asks for at least 64."""

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
    known = [part for text in about_him for part in (text, *text.replace("@", " ").split()) if part]
    if int(zxcvbn(password, known).score) < SCORE_MIN:
        raise PasswordWeak(
            "This password is too easy to guess: take more words, and none of your name or address."
        )
