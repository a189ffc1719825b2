"""Errors of the Gemini API: whose trouble they are, and what the caller may read."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.failures import OUR_TROUBLE
from bursar.adapters.providers.gemini import Gemini
from recorded import SECRET, attempt, recorded_json

RECORDED = recorded_json("gemini/errors.json")


def failure(status: int, body: Any, headers: dict[str, str] | None = None) -> ProviderFailure:
    return Gemini().failure(status, headers or {}, orjson.dumps(body), attempt())


def error(message: str, status: str = "INVALID_ARGUMENT", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "status": status, **more}}


class TestRecordedErrors:
    @pytest.mark.parametrize(
        "case",
        RECORDED,
        ids=lambda case: f"{case['status']}-{case['kind']}-{case['body']['error']['message'][:20]}",
    )
    def test_are_told_apart(self, case: dict[str, Any]) -> None:
        failed = failure(case["status"], case["body"])
        assert failed.kind == case["kind"]
        assert failed.upstream_status == case["status"]
        if failed.kind in {"auth", "billing", "not_found", "server"}:
            assert (failed.status, failed.code) == (502, "provider_error")
            assert failed.retryable

    @pytest.mark.parametrize("case", RECORDED, ids=lambda case: f"{case['status']}-{case['kind']}")
    def test_are_the_same_in_an_array_and_inside_a_stream(self, case: dict[str, Any]) -> None:
        assert failure(case["status"], [case["body"]]).kind == case["kind"]
        assert failure(200, case["body"]).kind == case["kind"]

    def test_our_bill_is_never_the_callers(self) -> None:
        empty = next(case for case in RECORDED if case["kind"] == "billing" and case["status"] == 429)
        failed = failure(429, empty["body"])
        assert (failed.status, failed.message) == (502, OUR_TROUBLE)


class TestRateLimits:
    def test_say_when_to_come_back(self) -> None:
        limited = next(case for case in RECORDED if len(case["body"]["error"].get("details", ())) == 2)
        failed = failure(429, limited["body"])
        assert (failed.kind, failed.status, failed.retry_after_s) == ("rate_limited", 503, 22)

    def test_believe_the_header_first(self) -> None:
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9s"}]
        body = error("slow down", "RESOURCE_EXHAUSTED", details=details)
        assert failure(429, body, {"retry-after": "3"}).retry_after_s == 3
        assert failure(429, body).retry_after_s == 9


class TestBadRequests:
    def test_keep_their_words_and_name_the_field(self) -> None:
        failed = failure(400, RECORDED[0]["body"])
        assert (failed.status, failed.code) == (400, "invalid_argument")
        assert failed.param == "generation_config.temperature"
        assert "TYPE_FLOAT" in failed.message
        assert not failed.retryable

    def test_hide_what_is_ours(self) -> None:
        failed = failure(
            400, error(f"bad thing at https://up.internal:8443/v1 with {SECRET} and AIzaSyD-1234567890")
        )
        assert SECRET not in failed.message
        assert "up.internal" not in failed.message
        assert "AIza" not in failed.message


class TestAnyBody:
    @given(status=st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]), body=st.binary(max_size=60))
    def test_of_bytes_is_classified(self, status: int, body: bytes) -> None:
        assert Gemini().failure(status, {}, body, attempt()).message

    @given(
        status=st.sampled_from([200, 400, 429, 500]),
        error=st.recursive(
            st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(
                        ["code", "message", "status", "details", "reason", "retryDelay", "fieldViolations"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=10,
        ),
    )
    def test_of_json_is_classified(self, status: int, error: Any) -> None:
        failed = Gemini().failure(status, {}, orjson.dumps({"error": error}), attempt())
        assert failed.message
