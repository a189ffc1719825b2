"""Anthropic's error shape, with our stable code beside its words.

Source: Anthropic's API reference, "Errors": the types below and the HTTP status each goes with.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_REQUEST_ID: Final = "request_id"


def error_body(
    status: int, code: str, message: str, param: str | None = None, extra: Mapping[str, Any] | None = None
) -> bytes:
    """`{"type": "error", "error": {…}, "request_id": …}`; `extra` adds fields inside `error`.

    A `request_id` among them goes where Anthropic has it: beside `error`.
    """
    error = {"type": error_type(status), "message": message, "code": code, "param": param, **(extra or {})}
    body: dict[str, Any] = {"type": "error", "error": error}
    if _REQUEST_ID in error:
        body[_REQUEST_ID] = error.pop(_REQUEST_ID)
    return orjson.dumps(body)


def error_type(status: int) -> str:
    """Anthropic's `error.type` for an HTTP status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")  # noqa: PLR2004 - HTTP class
