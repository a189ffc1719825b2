"""A captcha whose right answers are known."""

from bursar.adapters.captcha import CaptchaUnavailable


class FakeCaptcha:
    """`solved`: responses that pass, each once. `is_away`: the service does not answer."""

    def __init__(self, *solved: str, is_away: bool = False) -> None:
        self._solved = set(solved)
        self._is_away = is_away

    async def passed(self, response: str, address: str) -> bool:  # noqa: ARG002 - the port's signature
        if self._is_away:
            raise CaptchaUnavailable
        is_good = response in self._solved
        self._solved.discard(response)
        return is_good

    async def close(self) -> None:
        """Nothing to close."""
