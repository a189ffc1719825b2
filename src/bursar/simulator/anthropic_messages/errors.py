"""Errors in Anthropic's words and shape."""

from typing import Any

from bursar.simulator import shapes
from bursar.simulator.checks import Kind, Problem
from bursar.simulator.faults import Faults
from bursar.simulator.reply import HTML, STAMP, Refused, Reply, json_reply

ERRORS = shapes.load("anthropic_errors")
REQUEST_ID = f"req_011CS{STAMP}"
HEADERS: tuple[tuple[str, str], ...] = (
    *shapes.load("anthropic_messages")["headers"].items(),
    ("request-id", REQUEST_ID),
)
_EXPECTED = {
    "boolean": "boolean",
    "integer": "integer",
    "decimal": "number",
    "string": "string",
    "array": "list",
    "object": "dictionary",
}


def body(name: str, *, param: str | None = None, **words: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a named error; `words` fill its placeholders."""
    shape = ERRORS[name]
    message = shape["message"].format(param=param, **words)
    return shape["status"], {
        "type": "error",
        "error": {"type": shape["type"], "message": message},
        "request_id": REQUEST_ID,
    }


def refuse(name: str, *, param: str | None = None, **words: Any) -> Refused:
    """The exception that answers with a named error."""
    status, value = body(name, param=param, **words)
    return Refused(json_reply(status, value, HEADERS))


def invalid(message: str) -> Refused:
    """A 400 with free wording."""
    return refuse("invalid", message=message)


def _quoted(allowed: tuple[str, ...], joint: str) -> str:
    words = [f"'{one}'" for one in allowed]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])}{joint}{words[-1]}"


def refuse_problem(problem: Problem) -> Refused:
    """Word a failed check."""
    param, value, expected = ".".join(str(part) for part in problem.path), problem.value, problem.expected
    words: dict[str, Any] = {"expected": expected, "value": value}
    name: str = problem.kind
    match problem.kind:
        case Kind.TYPE:
            words = {"expected": _EXPECTED[expected]}
        case Kind.CHOICE if problem.path[-1] == "type":
            name, param = "tag", param.removesuffix(".type")
            words["allowed"] = _quoted(expected, ", ")
        case Kind.CHOICE:
            words["allowed"] = _quoted(expected, " or ")
        case Kind.SHORT | Kind.LONG:
            listed = isinstance(value, list)
            words |= {"word": "List", "unit": "items"} if listed else {"word": "String", "unit": "characters"}
        case Kind.PATTERN:
            words = {"expected": f"^{expected}$"}
        case _:
            pass
    return refuse(name, param=param, **words)


def faulty(faults: Faults, *, model: str) -> Reply | None:
    """The error reply a fault script asks for, or None."""
    if faults.billing:
        name = "billing"
    elif faults.status is not None:
        name = str(faults.status) if str(faults.status) in ERRORS else "other"
    else:
        return None
    status, value = body(name, model=model)
    if faults.error_type:
        value["error"]["type"] = faults.error_type
    headers = HEADERS if faults.retry_after is None else (*HEADERS, ("retry-after", str(faults.retry_after)))
    status = faults.status or status
    timing = Faults(delay_ms=faults.delay_ms, cut_body=faults.cut_body, split_bytes=faults.split_bytes)
    if faults.html:
        return Reply(
            status=status, headers=(("content-type", "text/html"), *headers), body=HTML, faults=timing
        )
    return json_reply(status, value, headers, faults=timing)
