"""OpenAI's embeddings: reading requests.

Source: the public OpenAI OpenAPI document, schema `CreateEmbeddingRequest`.
"""

from collections.abc import Mapping
from typing import Any, Final

from bursar.core.chat import unsupported
from bursar.core.estimate import tokens_of_text
from bursar.core.service import Service
from bursar.gateway.dialects import Asked, Call
from bursar.gateway.dialects.bodies import Check, check_model, of_type, parse_object, require, within, wrong

DIALECT: Final = "openai_embeddings"
ENDPOINT: Final = "/v1/embeddings"
PLAINLY_ASKED: Final = Asked(ENDPOINT)

INPUTS_MAX: Final = 2_048
"""Inputs of one request, as documented."""
TOKENS_MAX: Final = 300_000
"""Tokens in token arrays together, as documented; texts are left to the server, which can count them."""
DIMENSIONS_MAX: Final = 65_536
"""Far above the longest vectors of today (4,096): an answer must fit in memory."""
TOKEN_MAX: Final = 2**31 - 1
FORMATS: Final = frozenset({"float", "base64"})


def read(body: bytes, asked: Asked = PLAINLY_ASKED) -> Call:
    """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
    raw = parse_object(body)
    check(raw)
    return Call(
        dialect=DIALECT,
        endpoint=asked.endpoint,
        model=raw["model"],
        stream=False,
        include_usage=False,
        max_tokens=0,
        n=1,
        input_tokens=estimate_input(raw["input"]),
        end_user=raw.get("user"),
        tools_present=False,
        raw=raw,
        service=Service.EMBEDDINGS,
    )


def check(raw: Mapping[str, Any]) -> None:
    """Types and ranges of what is known; unknown properties are left to whoever serves the request."""
    require(raw, "model", "input")
    for name, value in raw.items():
        checker = _CHECKS.get(name)
        if checker is not None and value is not None:
            checker(name, value)
    if raw.get("stream"):
        raise unsupported("stream", "embeddings are answered whole")


def estimate_input(given: Any) -> int:
    """Input tokens on the high side; of token arrays their very number."""
    if isinstance(given, str):
        return 1 + tokens_of_text(given)
    if isinstance(given[0], str):
        return len(given) + tokens_of_text("\n".join(given))
    return len(given) if isinstance(given[0], int) else sum(map(len, given))


def _check_input(name: str, value: Any) -> None:
    """A text, texts, tokens, or arrays of tokens; nothing empty, nothing mixed."""
    if isinstance(value, str):
        _check_text(name, value)
        return
    if not isinstance(value, list) or not value:
        raise wrong(name, "a string or a non-empty array")
    first = value[0]
    if isinstance(first, int) and not isinstance(first, bool):
        _check_tokens(name, value)
    elif len(value) > INPUTS_MAX:
        raise wrong(name, f"at most {INPUTS_MAX} inputs")
    elif isinstance(first, list):
        for position, tokens in enumerate(value):
            _check_tokens(f"{name}[{position}]", tokens)
    else:
        for position, text in enumerate(value):
            _check_text(f"{name}[{position}]", text)
    if not isinstance(first, str) and estimate_input(value) > TOKENS_MAX:
        raise wrong(name, f"at most {TOKENS_MAX} tokens together")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise wrong(name, "a non-empty string")


def _check_tokens(name: str, value: Any) -> None:
    if not isinstance(value, list) or not value or not all(map(_is_token, value)):
        raise wrong(name, f"a non-empty array of tokens, whole numbers from 0 to {TOKEN_MAX}")


def _is_token(value: Any) -> bool:
    return type(value) is int and 0 <= value <= TOKEN_MAX


def _check_format(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in FORMATS:
        raise wrong(name, "'float' or 'base64'")


_CHECKS: Final[Mapping[str, Check]] = {
    "model": check_model,
    "input": _check_input,
    "encoding_format": _check_format,
    "dimensions": within(1, DIMENSIONS_MAX, int),
    "user": of_type(str, "a string"),
    "stream": of_type(bool, "a boolean"),
}
