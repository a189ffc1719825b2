"""Google's error shape: `google.rpc.Status` as JSON.

Source: https://cloud.google.com/apis/design/errors. Our own stable code is the `reason` of an `ErrorInfo`,
in capitals as Google writes them; what else a refusal says is its `metadata`.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

_TYPES: Final = "type.googleapis.com/google.rpc."
DOMAIN: Final = "bursar"
_STATUS: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 402: "FAILED_PRECONDITION", 403: "PERMISSION_DENIED",
    404: "NOT_FOUND", 405: "UNIMPLEMENTED", 408: "DEADLINE_EXCEEDED", 409: "ABORTED", 413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT", 424: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED", 499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def error_object(
    status: int, code: str, message: str, param: str | None = None, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The body of a refusal; `extra` adds members to the `ErrorInfo`'s metadata."""
    metadata = {name: _told(value) for name, value in (extra or {}).items() if value is not None}
    info = {"@type": f"{_TYPES}ErrorInfo", "reason": code.upper(), "domain": DOMAIN, "metadata": metadata}
    details: list[dict[str, Any]] = [info]
    if param is not None:
        violation = {"field": param, "description": message}
        details.append({"@type": f"{_TYPES}BadRequest", "fieldViolations": [violation]})
    fallback = "INVALID_ARGUMENT" if status < 500 else "INTERNAL"  # noqa: PLR2004 - HTTP's classes
    return {
        "error": {
            "code": status,
            "message": message,
            "status": _STATUS.get(status, fallback),
            "details": details,
        }
    }


def error_body(
    status: int, code: str, message: str, param: str | None = None, extra: Mapping[str, Any] | None = None
) -> bytes:
    """The same as bytes."""
    return orjson.dumps(error_object(status, code, message, param, extra))


def _told(value: Any) -> str:
    """Metadata are strings."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
