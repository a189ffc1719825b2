"""Errors of providers: whose trouble they are, and what the caller may read."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import Provider
from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.failures import (
    MESSAGE_CHARACTERS_MAX,
    OUR_TROUBLE,
    RETRY_AFTER_S_MAX,
    read_error,
    retry_after_s,
    sanitise,
)
from bursar.adapters.providers.openai import OpenAI
from recorded import SECRET, attempt, recorded_json

RECORDED = [
    pytest.param(provider, case, id=f"{provider.kind}-{case['status']}-{case['kind']}")
    for provider, file in ((OpenAI(), "openai/errors.json"), (Anthropic(), "anthropic/errors.json"))
    for case in recorded_json(file)
]
OURS = {"auth", "billing", "not_found", "server"}


class TestRecordedErrors:
    @pytest.mark.parametrize(("provider", "case"), RECORDED)
    def test_are_told_apart(self, provider: Provider, case: dict[str, object]) -> None:
        status = case["status"]
        assert isinstance(status, int)
        failure = provider.failure(status, {}, orjson.dumps(case["body"]), attempt())
        assert failure.kind == case["kind"]
        assert failure.upstream_status == status
        if failure.kind in OURS:
            assert (failure.status, failure.code) == (502, "provider_error")
            assert failure.retryable

    def test_our_bill_is_never_the_callers(self) -> None:
        body = orjson.dumps({"error": {"message": "pay", "type": "billing_error"}})
        failure = Anthropic().failure(402, {}, body, attempt())
        assert (failure.status, failure.message) == (502, OUR_TROUBLE)

    def test_a_bad_request_keeps_its_words_and_its_parameter(self) -> None:
        case = recorded_json("openai/errors.json")[3]
        failure = OpenAI().failure(400, {}, orjson.dumps(case["body"]), attempt())
        assert (failure.status, failure.code, failure.param) == (400, "unsupported_value", "temperature")
        assert "does not support 0.2" in failure.message
        assert not failure.retryable

    def test_a_body_too_large_stays_413(self) -> None:
        body = orjson.dumps({"error": {"type": "request_too_large", "message": "too large"}})
        assert Anthropic().failure(413, {}, body, attempt()).status == 413

    def test_a_rate_limit_is_503_with_its_wait(self) -> None:
        failure = OpenAI().failure(429, {"retry-after": "7"}, b"{}", attempt())
        assert (failure.kind, failure.status, failure.retry_after_s) == ("rate_limited", 503, 7)

    def test_reads_as_a_sentence(self) -> None:
        assert str(OpenAI().failure(429, {}, b"", attempt())).startswith("rate_limited: ")


class TestErrorsInStreams:
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ({"code": 429, "message": "slow down"}, "rate_limited"),
            ({"code": 502, "message": "gone"}, "server"),
            ({"type": "overloaded_error", "message": "Overloaded"}, "overloaded"),
            ({"type": "invalid_request_error", "message": "no"}, "bad_request"),
            ({"code": "rate_limit_exceeded", "message": "no"}, "rate_limited"),
            ({"message": "no more"}, "server"),
        ],
    )
    def test_take_their_status_from_their_words(self, error: dict[str, object], kind: str) -> None:
        assert OpenAI().failure(200, {}, orjson.dumps({"error": error}), attempt()).kind == kind


class TestReadError:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b'{"error": "plain words"}', "plain words"),
            (b'{"detail": "from FastAPI"}', "from FastAPI"),
            (b'{"object":"error","message":"vLLM, flat","type":"BadRequestError","code":400}', "vLLM, flat"),
            (b'{"error": 7}', ""),
            (b"[1]", ""),
            (b"<html>bad gateway</html>", ""),
            (b"", ""),
        ],
    )
    def test_finds_the_message_wherever_servers_put_it(self, body: bytes, message: str) -> None:
        assert read_error(body).message == message


LEAKS = [
    f"Incorrect API key provided: {SECRET}.",
    "Incorrect API key provided: sk-proj-********************abcd.",
    "Bearer abcdef.ghijkl was refused",
    "token eyJhbGciOiJIUzI1NiJ9.payload",
    "key AIzaSyA1234567890abc is bad",
    "see https://up.internal:8443/v1/chat for more",
    "cannot reach up.internal:8443",
    "dial tcp 10.1.2.3:443: connection refused",
    "host [fe80:0:0:0:1:2:3:4]:80 is away",
    "connect to vllm-0.models.svc failed",
    "http://localhost:8000/v1 refused",
    "upstream gpu-worker-3:9000 died",
    "organization org-QwErTy123456 is over its limit",
]
PRIVATE = [
    SECRET, "sk-", "abcd", "ghijkl", "eyJ", "AIza", "internal", "10.1", "fe80", "svc", "localhost", "9000",
    "QwErTy",
]  # fmt: skip


class TestSanitise:
    @pytest.mark.parametrize("message", LEAKS)
    def test_never_shows_a_credential_or_a_place(self, message: str) -> None:
        shown = sanitise(message, attempt())
        assert [private for private in PRIVATE if private in shown] == []

    @given(st.text(max_size=40), st.text(max_size=40))
    def test_never_shows_the_secret_in_any_words(self, before: str, after: str) -> None:
        assert SECRET not in sanitise(before + SECRET + after, attempt())

    def test_keeps_harmless_words(self) -> None:
        words = "max_tokens: 999999 > 64000, which is the maximum for claude-sonnet-4-5 (e.g. 3.5 or 'n: 2')"
        assert sanitise(words, attempt()) == words

    def test_is_short_and_on_one_line(self) -> None:
        shown = sanitise("a\nb\x00 " * 1000, attempt())
        assert shown.startswith("a b a b")
        assert len(shown) == MESSAGE_CHARACTERS_MAX + 1

    def test_says_something_when_nothing_is_left(self) -> None:
        assert sanitise("", attempt()) == "The provider of this model refused the request."


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("12", 12),
            ("99999999999", RETRY_AFTER_S_MAX),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("", None),
            ("-1", None),
        ],
    )
    def test_reads_whole_seconds_only(self, value: str, seconds: int | None) -> None:
        assert retry_after_s({"retry-after": value}) == seconds

    def test_may_be_absent(self) -> None:
        assert retry_after_s({}) is None
