"""What every captcha does: the fake, and a real server that is asked over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bursar.adapters.captcha import Captcha, CaptchaUnavailable
from bursar.adapters.captcha.fake import FakeCaptcha
from bursar.adapters.captcha.siteverify import RESPONSE_LENGTH_MAX, SiteVerify

SOLVED = "10000000-aaaa-bbbb-cccc-000000000001"
SECRET = "0x0000000000000000000000000000000000000000"


class Site:
    """Answers as hCaptcha and Turnstile document it; `instead`: something else for everybody."""

    def __init__(self) -> None:
        self.solved = {SOLVED}
        self.asked: list[dict[str, str]] = []
        self.instead: web.Response | None = None

    async def answer(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if self.instead is not None:
            return self.instead
        if form.get("secret") != SECRET:
            return web.json_response({"success": False, "error-codes": ["invalid-input-secret"]})
        if form.get("response") not in self.solved:
            return web.json_response({"success": False, "error-codes": ["invalid-input-response"]})
        self.solved.discard(form["response"])
        return web.json_response({"success": True, "hostname": "bursar.example", "error-codes": []})

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/siteverify", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            yield f"http://{host}:{port}/siteverify"
        finally:
            await runner.cleanup()


@pytest.fixture(params=["fake", "siteverify"])
async def captcha(request: pytest.FixtureRequest) -> AsyncIterator[Captcha]:
    if request.param == "fake":
        yield FakeCaptcha(SOLVED)
        return
    async with Site().listening() as url:
        made = SiteVerify(url, SECRET)
        yield made
        await made.close()


class TestCaptchas:
    async def test_pass_what_was_solved_and_once_only(self, captcha: Captcha) -> None:
        assert await captcha.passed("", "203.0.113.9") is False
        assert await captcha.passed("not solved", "203.0.113.9") is False
        assert await captcha.passed(SOLVED, "203.0.113.9") is True
        assert await captcha.passed(SOLVED, "203.0.113.9") is False


class TestSiteVerify:
    async def test_says_who_asks_and_from_where(self) -> None:
        site = Site()
        async with site.listening() as url:
            captcha = SiteVerify(url, SECRET)
            await captcha.passed(SOLVED, "203.0.113.9")
            await captcha.passed("x", "")
            assert await captcha.passed("y" * (RESPONSE_LENGTH_MAX + 1), "") is False
            await captcha.close()
        assert site.asked == [
            {"secret": SECRET, "response": SOLVED, "remoteip": "203.0.113.9"},
            {"secret": SECRET, "response": "x"},
        ]

    @pytest.mark.parametrize(
        ("status", "body"),
        [(500, b"{}"), (200, b"<html>"), (200, b"[]"), (200, b"{}"), (302, b""), (200, b" " * 20_000)],
    )
    async def test_takes_nothing_else_for_an_answer(self, status: int, body: bytes) -> None:
        site = Site()
        async with site.listening() as url:
            site.instead = web.Response(status=status, body=body, headers={"location": url})
            captcha = SiteVerify(url, SECRET)
            with pytest.raises(CaptchaUnavailable):
                await captcha.passed(SOLVED, "")
            await captcha.close()

    async def test_does_not_wait_for_a_server_that_is_away(self) -> None:
        async with Site().listening() as url:
            pass
        captcha = SiteVerify(url, SECRET, wait_s=2)
        with pytest.raises(CaptchaUnavailable):
            await captcha.passed(SOLVED, "")
        await captcha.close()
