"""OpenAI's embeddings: passed through for those who speak them, built and read for those who do not.

Source: the public OpenAI OpenAPI document, schemas `CreateEmbeddingRequest` and `CreateEmbeddingResponse`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from bursar.adapters.providers import Attempt, UpstreamRequest, broken_answer
from bursar.adapters.providers.counts import CountReader
from bursar.adapters.providers.openai_sending import Send, send
from bursar.adapters.providers.openai_usage import FLAG_TOTAL_MISMATCH
from bursar.core.chat import unsupported
from bursar.core.embedding import EmbeddingAnswer, EmbeddingRequest
from bursar.core.usage import Meter, Usage

PATH = "/embeddings"


class Embeddings:
    """`PassThrough` and `Embedder` of a server with OpenAI's embeddings."""

    def __init__(self, send: Send = send) -> None:
        self._send = send

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,  # noqa: ARG002 - they never stream
        headers: Mapping[str, str],  # noqa: ARG002 - this dialect has none
    ) -> UpstreamRequest:
        """The caller's request with our model name."""
        return self._send(PATH, {**raw, "model": attempt.deployment.provider_model}, attempt)

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        return read_usage(raw, service_tier=service_tier)

    def build(self, request: EmbeddingRequest, attempt: Attempt) -> UpstreamRequest:
        for name in ("task", "title"):
            if getattr(request, name) is not None:
                raise unsupported(request.named(name), "its vectors serve every purpose alike")
        body: dict[str, Any] = {
            "model": attempt.deployment.provider_model,
            "input": list(request.inputs),
            "encoding_format": "float",
        }
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.end_user is not None:
            body["user"] = request.end_user
        return self._send(PATH, body, attempt)

    def read_answer(self, body: bytes, request: EmbeddingRequest) -> EmbeddingAnswer:
        parsed = parsed_answer(body)
        usage = parsed.get("usage")
        model = parsed.get("model")
        return EmbeddingAnswer(
            vectors=_vectors(parsed["data"], len(request.inputs)),
            usage=read_usage(usage) if isinstance(usage, dict) else None,
            model=model if isinstance(model, str) else "",
        )


def parsed_answer(body: bytes) -> dict[str, Any]:
    """The object an answer holds, with its list `data`. Raises `ProviderFailure` when there is none."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise broken_answer("The provider's answer is not JSON.") from None
    if not isinstance(parsed, dict):
        raise broken_answer("The provider's answer is not an object.")
    if not isinstance(parsed.get("data"), list):
        raise broken_answer("The provider's answer has no data.")
    return parsed


def read_usage(raw: Mapping[str, Any], *, service_tier: str | None = None) -> Usage | None:
    """`prompt_tokens` and `total_tokens`, which are the same: nothing comes out. `None`: neither is told.

    Servers that copy the shape may leave one of them out, or count output; what does not add up is flagged.
    """
    reader = CountReader(raw)
    prompt, total = reader.optional("prompt_tokens"), reader.optional("total_tokens")
    came = reader.count("completion_tokens")
    if prompt is None and total is None:
        return None
    if prompt is None:
        prompt = max(0, (total or 0) - came)
    if total not in {None, prompt + came}:
        reader.flag(FLAG_TOTAL_MISMATCH)
    counted = {Meter.IN_FRESH: prompt, Meter.OUT_TEXT: came}
    return Usage(
        quantities={meter: quantity for meter, quantity in counted.items() if quantity},
        raw=orjson.dumps(raw),
        flags=tuple(reader.flags),
        service_tier=service_tier,
    )


def _vectors(entries: Sequence[Any], wanted: int) -> list[list[Any]]:
    """The vectors in the order of the inputs; entries may come in any, each with its `index`."""
    vectors: dict[int, list[Any]] = {}
    for position, entry in enumerate(entries):
        index = entry.get("index", position) if isinstance(entry, dict) else None
        vector = entry.get("embedding") if isinstance(entry, dict) else None
        if not isinstance(index, int) or not isinstance(vector, list) or not all(map(_is_number, vector)):
            raise broken_answer("The provider's answer has a vector that is none.")
        vectors[index] = vector
    if set(vectors) != set(range(wanted)):
        raise broken_answer("The provider's answer does not have one vector for each input.")
    return [vectors[index] for index in range(wanted)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
