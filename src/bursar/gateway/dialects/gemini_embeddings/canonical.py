"""The Gemini API's embedding requests into the canonical form, and its answers out of it."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.core.chat import unsupported
from bursar.core.embedding import EmbeddingAnswer, EmbeddingRequest
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.gemini_embeddings.reading import SINGLE, requests_of

_KNOWN: Final = frozenset({"model", "content", "taskType", "title", "outputDimensionality"})
_OPTIONS: Final = ("taskType", "title", "outputDimensionality")
NAMES: Final[Mapping[str, str]] = {
    "dimensions": "outputDimensionality",
    "task": "taskType",
    "inputs": "content",
}


def canonical(call: Call) -> EmbeddingRequest:
    """The canonical form. Raises `BadRequest` naming what it cannot say."""
    asked = requests_of(call.raw, _action(call))
    first = asked[0][1]
    for place, one in asked:
        for name, value in one.items():
            if name not in _KNOWN and value is not None:
                raise unsupported(f"{place}{name}", "it is not known for this provider")
        for name in _OPTIONS:
            if one.get(name) != first.get(name):
                raise unsupported(f"{place}{name}", "the model's provider takes one for the whole batch")
    return EmbeddingRequest(
        inputs=tuple(_text(one["content"], place) for place, one in asked),
        dimensions=first.get("outputDimensionality"),
        task=first.get("taskType"),
        title=first.get("title"),
        names=NAMES,
    )


def answer_body(call: Call, answer: EmbeddingAnswer) -> bytes:
    """Google's embeddings; usage is what is booked, so our estimate where the provider told none."""
    tokens = call.input_tokens if answer.usage is None else answer.usage.input_tokens
    vectors = [{"values": vector} for vector in answer.vectors]
    told: dict[str, Any] = {"embedding": vectors[0]} if _action(call) == SINGLE else {"embeddings": vectors}
    return orjson.dumps({**told, "usageMetadata": {"promptTokenCount": tokens}})


def _action(call: Call) -> str:
    return call.endpoint.rpartition(":")[2]


def _text(content: Mapping[str, Any], place: str) -> str:
    texts = []
    for position, part in enumerate(content["parts"]):
        if not isinstance(part.get("text"), str):
            raise unsupported(f"{place}content.parts[{position}]", "the model's provider embeds text only")
        texts.append(part["text"])
    return "\n".join(texts)
