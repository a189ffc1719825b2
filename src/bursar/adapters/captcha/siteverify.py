"""Captchas that are asked about by a form sent to a `siteverify` address, answered `{"success": true}`.

hCaptcha: https://docs.hcaptcha.com/#verify-the-user-response-server-side
Turnstile: https://developers.cloudflare.com/turnstile/get-started/server-side-validation/
"""

from typing import Final

import aiohttp
import orjson

from bursar.adapters.captcha import CaptchaUnavailable

ADDRESSES: Final = {
    "hcaptcha": "https://api.hcaptcha.com/siteverify",
    "turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
}
WAIT_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 16_384
RESPONSE_LENGTH_MAX: Final = 8_192
"""Longer than any real one; nothing of a stranger's goes on unbounded."""


class SiteVerify:
    def __init__(self, url: str, secret: str, *, wait_s: float = WAIT_S) -> None:
        self._url = url
        self._secret = secret
        self._wait_s = wait_s
        self._session: aiohttp.ClientSession | None = None

    async def passed(self, response: str, address: str) -> bool:
        """Raises `CaptchaUnavailable`."""
        if not response or len(response) > RESPONSE_LENGTH_MAX:
            return False
        form = {"secret": self._secret, "response": response}
        if address:
            form["remoteip"] = address
        try:
            return await self._ask(form)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            raise CaptchaUnavailable(type(error).__name__) from error

    async def _ask(self, form: dict[str, str]) -> bool:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._wait_s))
        async with self._session.post(self._url, data=form, allow_redirects=False) as answer:
            answer.raise_for_status()
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise CaptchaUnavailable("its answer is too long")
        return orjson.loads(body)["success"] is True

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
