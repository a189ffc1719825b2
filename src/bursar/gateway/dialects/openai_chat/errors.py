"""OpenAI's error shape."""

from collections.abc import Mapping
from typing import Any

import orjson


def error_body(
    status: int, code: str, message: str, param: str | None = None, extra: Mapping[str, Any] | None = None
) -> bytes:
    """OpenAI's error shape; `extra` adds fields inside `error`."""
    error = {"message": message, "type": error_type(status), "param": param, "code": code, **(extra or {})}
    return orjson.dumps({"error": error})


def error_type(status: int) -> str:
    """OpenAI's `error.type` for an HTTP status."""
    known = {
        401: "authentication_error",
        402: "insufficient_quota",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
    }
    return known.get(status, "invalid_request_error" if status < 500 else "api_error")  # noqa: PLR2004 - HTTP class
