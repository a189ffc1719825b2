"""OpenAI's embedding requests into the canonical form, and its answers out of it."""

import base64
import struct
from collections.abc import Sequence
from typing import Any, Final

import orjson

from bursar.adapters.providers import broken_answer
from bursar.core.chat import unsupported
from bursar.core.embedding import EmbeddingAnswer, EmbeddingRequest
from bursar.gateway.dialects import Call

_KNOWN: Final = frozenset({"model", "input", "encoding_format", "dimensions", "user", "stream"})
NAMES: Final = {"inputs": "input", "end_user": "user"}


def canonical(call: Call) -> EmbeddingRequest:
    """The canonical form. Raises `BadRequest` naming what it cannot say."""
    raw = call.raw
    for name, value in raw.items():
        if name not in _KNOWN and value is not None:
            raise unsupported(name, "it is not known for this provider")
    return EmbeddingRequest(
        inputs=_inputs(raw["input"]), dimensions=raw.get("dimensions"), end_user=raw.get("user"), names=NAMES
    )


def _inputs(given: Any) -> tuple[str | tuple[int, ...], ...]:
    if isinstance(given, str):
        return (given,)
    if isinstance(given[0], int):
        return (tuple(given),)
    return tuple(one if isinstance(one, str) else tuple(one) for one in given)


def answer_body(call: Call, answer: EmbeddingAnswer) -> bytes:
    """OpenAI's list of embeddings; usage is what is booked, so our estimate where the provider told none."""
    tokens = call.input_tokens if answer.usage is None else answer.usage.input_tokens
    is_packed = call.raw.get("encoding_format") == "base64"
    entries = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if is_packed else vector}
        for index, vector in enumerate(answer.vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps(
        {"object": "list", "data": entries, "model": answer.model or call.model, "usage": usage}
    )


def packed(vector: Sequence[Any]) -> str:
    """32-bit floats, little-endian, in base64. Raises `ProviderFailure` for what no 32-bit float can be."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except (struct.error, OverflowError):
        raise broken_answer("The provider's answer has a vector that is none.") from None
