"""Errors in OpenAI's words and shape."""

from typing import Any

from bursar.simulator import shapes
from bursar.simulator.checks import Kind, Problem
from bursar.simulator.faults import Faults
from bursar.simulator.reply import HTML, STAMP, Refused, Reply, json_reply

ERRORS = shapes.load("openai_errors")
HEADERS: tuple[tuple[str, str], ...] = (
    *shapes.load("openai_chat")["headers"].items(),
    ("x-request-id", f"req_{STAMP}{STAMP}"),
)
SHOWN_ENDS = 4
_GOT = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}
_EXPECTED = {
    "boolean": "a boolean",
    "integer": "an integer",
    "decimal": "a decimal",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}


def body(name: str, *, param: str | None = None, **words: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a named error; `words` fill its placeholders."""
    shape = ERRORS[name]
    code = shape["code"]
    return shape["status"], {
        "error": {
            "message": shape["message"].format(param=param, **words),
            "type": shape["type"],
            "param": shape["param"] or param,
            "code": code.format(**words) if code else None,
        }
    }


def refuse(name: str, *, param: str | None = None, **words: Any) -> Refused:
    """The exception that answers with a named error."""
    status, value = body(name, param=param, **words)
    return Refused(json_reply(status, value, HEADERS))


def invalid(message: str, param: str) -> Refused:
    """A 400 with free wording."""
    return refuse("invalid", param=param, message=message)


def masked(key: str) -> str:
    """A key as OpenAI quotes it back."""
    return f"{key[:SHOWN_ENDS]}{'*' * 8}{key[-SHOWN_ENDS:]}" if len(key) > 2 * SHOWN_ENDS else "*" * len(key)


def _where(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def refuse_problem(problem: Problem) -> Refused:
    """Word a failed check."""
    param, value, expected = _where(problem.path), problem.value, problem.expected
    word = {str: "string", list: "array", dict: "object", int: "integer"}.get(type(value), "decimal")
    words: dict[str, Any] = {"expected": expected, "value": value, "word": word}
    name: str = problem.kind
    match problem.kind:
        case Kind.UNKNOWN if len(problem.path) == 1:
            status, shaped = body("unknown_top", param=param)
            shaped["error"]["param"] = None
            return Refused(json_reply(status, shaped, HEADERS))
        case Kind.TYPE:
            words = {"expected": _EXPECTED[expected], "got": _GOT.get(type(value), "null")}
        case Kind.CHOICE:
            words["allowed"] = ", ".join(f"'{one}'" for one in expected)
        case Kind.SHORT | Kind.LONG:
            words["length"] = len(value)
        case _:
            pass
    return refuse(name, param=param, **words)


def faulty(faults: Faults, *, model: str, key: str, compatible: bool) -> Reply | None:
    """The error reply a fault script asks for, or None."""
    if faults.billing:
        name = "billing_compatible" if compatible else "billing"
    elif faults.status is not None:
        name = str(faults.status) if str(faults.status) in ERRORS else "other"
    else:
        return None
    status, value = body(name, model=model, key=masked(key))
    if faults.error_type:
        value["error"]["type"] = faults.error_type
    if faults.error_code:
        value["error"]["code"] = faults.error_code
    headers = HEADERS if faults.retry_after is None else (*HEADERS, ("retry-after", str(faults.retry_after)))
    status = faults.status or status
    if faults.html:
        return Reply(
            status=status,
            headers=(("content-type", "text/html"), *headers),
            body=HTML,
            faults=_timing(faults),
        )
    return json_reply(status, value, headers, faults=_timing(faults))


def _timing(faults: Faults) -> Faults:
    """Of a script, what applies to an error reply too."""
    return Faults(delay_ms=faults.delay_ms, cut_body=faults.cut_body, split_bytes=faults.split_bytes)
