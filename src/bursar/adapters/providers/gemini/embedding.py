"""The Gemini API's embeddings: passed through, or reached through the canonical form.

Source: https://ai.google.dev/api/embeddings. A request holds one content (`:embedContent`) or a list of
requests (`:batchEmbedContents`, a hundred at most); older models report no usage.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import Attempt, UpstreamRequest, broken_answer
from bursar.adapters.providers.gemini.answer import parsed
from bursar.adapters.providers.gemini.passing import refuse_kept_files
from bursar.adapters.providers.gemini.paths import headers_for, path_of
from bursar.adapters.providers.gemini.usage import read_usage
from bursar.core.chat import BadRequest, unsupported
from bursar.core.embedding import EmbeddingAnswer, EmbeddingRequest
from bursar.core.usage import Usage

INPUTS_MAX: Final = 100


class Embeddings:
    """The surface for callers of the same dialect; `raw` is in camelCase, see the dialect."""

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,  # noqa: ARG002 - vectors come whole
        headers: Mapping[str, str],  # noqa: ARG002 - this dialect has none
    ) -> UpstreamRequest:
        """The caller's request under our model's name, which a batch repeats in every request."""
        if "requests" not in raw:
            refuse_kept_files((raw.get("content") or {}).get("parts"), "content.parts")
            bare = {name: value for name, value in raw.items() if name != "model"}
            return _request(attempt, "embedContent", bare)
        model = _resource(attempt)
        for position, one in enumerate(raw["requests"]):
            refuse_kept_files(one["content"].get("parts"), f"requests[{position}].content.parts")
        requests = [{**one, "model": model} for one in raw["requests"]]
        return _request(attempt, "batchEmbedContents", {**raw, "requests": requests})

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        return read_usage(raw, service_tier=service_tier)


class GeminiEmbedder:
    """The way through the canonical form."""

    def build(self, request: EmbeddingRequest, attempt: Attempt) -> UpstreamRequest:
        """A batch, whatever the number of inputs. Raises `BadRequest` for what the API cannot do."""
        if len(request.inputs) > INPUTS_MAX:
            raise BadRequest(
                f"Invalid value for '{request.named('inputs')}': the provider takes {INPUTS_MAX} at a time.",
                param=request.named("inputs"),
            )
        return _request(
            attempt,
            "batchEmbedContents",
            {"requests": [_asked(one, request, attempt) for one in request.inputs]},
        )

    def read_answer(self, body: bytes, request: EmbeddingRequest) -> EmbeddingAnswer:
        answer = parsed(body)
        embeddings = answer.get("embeddings")
        vectors = [_values(one) for one in embeddings] if isinstance(embeddings, list) else []
        if len(vectors) != len(request.inputs):
            raise broken_answer("The provider's answer does not hold a vector for each input.")
        raw = answer.get("usageMetadata")
        return EmbeddingAnswer(
            vectors=vectors, usage=read_usage(raw) if isinstance(raw, Mapping) else None, model=""
        )


EMBEDDINGS: Final = Embeddings()
EMBEDDER: Final = GeminiEmbedder()


def _asked(text: str | tuple[int, ...], request: EmbeddingRequest, attempt: Attempt) -> dict[str, Any]:
    if not isinstance(text, str):
        raise unsupported(
            request.named("inputs"), "the provider takes texts, not tokens of another tokenizer"
        )
    asked: dict[str, Any] = {"model": _resource(attempt), "content": {"parts": [{"text": text}]}}
    given = {"taskType": request.task, "title": request.title, "outputDimensionality": request.dimensions}
    return asked | {name: value for name, value in given.items() if value is not None}


def _resource(attempt: Attempt) -> str:
    return f"models/{attempt.deployment.provider_model.removeprefix('models/')}"


def _request(attempt: Attempt, action: str, body: Mapping[str, Any]) -> UpstreamRequest:
    return UpstreamRequest(
        path=path_of(attempt, action), headers=headers_for(attempt), body=orjson.dumps(body)
    )


def _values(embedding: object) -> list[Any]:
    values = embedding.get("values") if isinstance(embedding, Mapping) else None
    if not isinstance(values, list):
        raise broken_answer("The provider's answer holds a malformed vector.")
    return values
