"""Anthropic's error shape: one type for each status, our code beside it."""

import orjson
import pytest
from anthropic.types import ErrorResponse

from bursar.gateway.dialects.anthropic_messages.errors import error_body


class TestErrorBody:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (405, "invalid_request_error"),
            (408, "timeout_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
        ],
    )
    def test_names_the_type_of_each_status(self, status: int, kind: str) -> None:
        told = orjson.loads(error_body(status, "some_code", "Some words."))
        assert told == {
            "type": "error",
            "error": {"type": kind, "message": "Some words.", "code": "some_code", "param": None},
        }

    def test_says_more_inside_and_the_requests_id_beside(self) -> None:
        extra = {"spendable": "0.00", "request_id": "r-1"}
        body = error_body(402, "insufficient_balance", "No.", "model", extra)
        told = orjson.loads(body)
        assert (told["error"]["spendable"], told["error"]["param"]) == ("0.00", "model")
        assert "request_id" not in told["error"]
        read = ErrorResponse.model_validate_json(body)
        assert (read.request_id, read.error.type) == ("r-1", "billing_error")
