"""Captchas: is it a person? Asked of strangers who sign up, when the operator wants it; off by default.

The port. `siteverify` speaks what hCaptcha and Turnstile both do; `fake` is for tests. All pass the
same contract tests (`tests/adapters/captcha`).
"""

from typing import Protocol


class CaptchaUnavailable(Exception):
    """Nobody can tell at the moment: the service does not answer, or not as documented."""


class Captcha(Protocol):
    async def passed(self, response: str, address: str) -> bool:
        """Was the puzzle solved?

        `response`: what the page got for it, good once. `address`: the caller's, "" when unknown.

        Raises:
            CaptchaUnavailable: neither yes nor no.
        """
        ...

    async def close(self) -> None: ...
