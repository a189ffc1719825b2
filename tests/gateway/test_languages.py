"""A refusal in the language the caller reads; its code and members are the same in all of them."""

from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest
from proving import Customer

from bursar.core.chat import BadRequest
from bursar.gateway.dialects.registry import OPENAI_CHAT
from bursar.gateway.errors import GatewayError, insufficient_balance, rate_limited
from bursar.gateway.inbound import Inbound
from bursar.gateway.pipeline import refuse

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def refused(
    error: GatewayError | BadRequest, accept: bytes | None
) -> tuple[dict[bytes, bytes], dict[str, Any]]:
    """The headers and the error object of a refusal."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any], /) -> None:
        sent.append(message)

    headers = [] if accept is None else [(b"accept-language", accept)]
    await refuse(
        Inbound({"type": "http", "headers": headers}, receive, send), OPENAI_CHAT, error, "request-1"
    )
    return dict(sent[0]["headers"]), orjson.loads(sent[1]["body"])["error"]


class TestLanguages:
    @pytest.mark.parametrize(
        ("accept", "language", "message"),
        [
            (None, b"en", "Too many requests with this key; retry in 7 s."),
            (b"*", b"en", "Too many requests with this key; retry in 7 s."),
            (b"en-US,ko;q=0.5", b"en", "Too many requests with this key; retry in 7 s."),
            (b"ko-KR,ko;q=0.9", b"ko", "이 API Key의 요청이 너무 많습니다. 7초 후에 다시 시도해 주세요."),
            (b"zh-CN", b"zh", "此密钥的请求过多；请在 7 秒后重试。"),  # noqa: RUF001 - Chinese punctuation
            (b"\xff\xfe", b"en", "Too many requests with this key; retry in 7 s."),
        ],
    )
    async def test_a_refusal_is_in_the_callers(
        self, accept: bytes | None, language: bytes, message: str
    ) -> None:
        headers, error = await refused(rate_limited(7000), accept)
        assert (error["code"], error["message"]) == ("rate_limit_exceeded", message)
        assert (headers[b"content-language"], headers[b"retry-after"]) == (language, b"7")

    async def test_members_stay_as_they_are(self) -> None:
        broke = insufficient_balance(spendable="0.10", estimate="2.50", currency="USD")
        _, error = await refused(broke, b"ko")
        assert (error["spendable"], error["estimate"], error["currency"]) == ("0.10", "2.50", "USD")

    async def test_what_a_provider_said_is_kept(self) -> None:
        said = GatewayError(400, "invalid_request_error", "temperature does not go with this model")
        _, error = await refused(said, b"zh")
        assert error["message"].endswith("(temperature does not go with this model)")

    async def test_a_bad_request_names_its_parameter(self) -> None:
        bad = BadRequest(
            "Missing required parameter: 'model'.", code="missing_required_parameter", param="model"
        )
        _, error = await refused(bad, b"ko")
        assert (error["param"], error["message"]) == ("model", "필수 매개변수가 없습니다: 'model'.")

    async def test_a_stream_that_breaks_off_says_so_in_it(self, customer: Customer) -> None:
        customer.fault("openai", 'no_terminal no_finish no_usage text="one two"')
        headers = {**customer.authorization, "accept-language": "ko"}
        reply = await customer.send(customer.payload("openai", stream=True), headers=headers)
        error = reply.events()[-2]["error"]
        assert (reply.text(), error["code"]) == ("one two", "provider_error")
        assert error["message"] == "Provider의 스트림이 중간에 끊어졌습니다."
        assert (await customer.one_row())["error_code"] == "provider_error"
