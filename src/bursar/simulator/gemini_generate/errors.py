"""Errors in Google's words and shape (`google.rpc.Status` as JSON)."""

from typing import Any

import orjson

from bursar.simulator import shapes
from bursar.simulator.checks import Kind, Problem
from bursar.simulator.faults import Faults
from bursar.simulator.reply import HTML, Refused, Reply, json_reply

ERRORS = shapes.load("gemini_errors")
HEADERS: tuple[tuple[str, str], ...] = (
    ("vary", "X-Origin"),
    ("server", "scaffolding on HTTPServer2"),
    ("x-content-type-options", "nosniff"),
)
SHOWN_MAX = 80
_PATH_OF_TYPE = "type.googleapis.com/google.rpc."
_EXPECTED = {
    "boolean": "BOOL",
    "integer": "INT32",
    "decimal": "FLOAT",
    "string": "STRING",
    "array": "LIST",
    "object": "MESSAGE",
}


def body(named: str, *, retry_after_s: int | None = None, **words: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a named error; `words` fill its placeholders."""
    shape = ERRORS[named]
    details: list[dict[str, Any]] = []
    if shape.get("reason"):
        metadata = {"service": "generativelanguage.googleapis.com"}
        details.append(
            {
                "@type": f"{_PATH_OF_TYPE}ErrorInfo",
                "reason": shape["reason"],
                "domain": "googleapis.com",
                "metadata": metadata,
            }
        )
    if retry_after_s is not None:
        details.append({"@type": f"{_PATH_OF_TYPE}RetryInfo", "retryDelay": f"{retry_after_s}s"})
    error = {
        "code": shape["code"],
        "message": shape["message"].format(**words),
        "status": shape["status"],
        **({"details": details} if details else {}),
    }
    return shape["code"], {"error": error}


def refuse(named: str, **words: Any) -> Refused:
    """The exception that answers with a named error."""
    status, value = body(named, **words)
    return Refused(json_reply(status, value, HEADERS))


def invalid(message: str) -> Refused:
    """A 400 with free wording."""
    return refuse("invalid", message=message)


def path_of(path: tuple[str | int, ...]) -> str:
    """`contents[0].parts[1]`."""
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return written.removeprefix(".")


def refuse_problem(problem: Problem) -> Refused:
    """Word a failed check."""
    param = path_of(problem.path)
    value = orjson.dumps(problem.value, default=str).decode()[:SHOWN_MAX]
    match problem.kind:
        case Kind.MISSING:
            return refuse("missing", param=param)
        case Kind.UNKNOWN:
            return refuse("unknown", name=problem.path[-1], where=path_of(problem.path[:-1]))
        case Kind.TYPE:
            return refuse("type", param=param, expected=_EXPECTED[problem.expected], value=value)
        case Kind.CHOICE:
            return refuse("choice", param=param, value=value)
        case _:
            return refuse("range", param=param)


def faulty(faults: Faults, *, model: str) -> Reply | None:
    """The error reply a fault script asks for, or None."""
    if faults.billing:
        name = "billing"
    elif faults.status is not None:
        name = str(faults.status) if str(faults.status) in ERRORS else "other"
    else:
        return None
    status, value = body(name, model=model, retry_after_s=faults.retry_after)
    error = value["error"]
    status = error["code"] = faults.status or status
    error["status"] = faults.error_type or error["status"]
    timing = Faults(delay_ms=faults.delay_ms, cut_body=faults.cut_body, split_bytes=faults.split_bytes)
    if faults.html:
        return Reply(
            status=status, headers=(("content-type", "text/html"), *HEADERS), body=HTML, faults=timing
        )
    return json_reply(status, value, HEADERS, faults=timing)
