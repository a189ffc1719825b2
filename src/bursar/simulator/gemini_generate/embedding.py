"""Simulated embeddings: `:embedContent` and `:batchEmbedContents`."""

from hashlib import blake2b
from typing import Any

import orjson

from bursar.simulator.catalogue import Model
from bursar.simulator.faults import Faults
from bursar.simulator.gemini_generate.errors import HEADERS
from bursar.simulator.gemini_generate.reading import part_tokens
from bursar.simulator.reply import Reply, json_reply

DIMENSIONS = 3072
STEPS = 1 << 16
UNCOUNTED = "gemini-embedding-001"
"""Answers without usage; its successors count."""


def embed(raw: dict[str, Any], model: Model, faults: Faults) -> Reply:
    """One embedding."""
    answer = {"embedding": {"values": _values(raw, model)}, **_usage([raw], model, faults)}
    return json_reply(200, answer, HEADERS, faults=faults)


def embed_batch(raw: dict[str, Any], model: Model, faults: Faults) -> Reply:
    """An embedding for each request."""
    requests = raw["requests"]
    values = [{"values": _values(one, model)} for one in requests]
    return json_reply(200, {"embeddings": values, **_usage(requests, model, faults)}, HEADERS, faults=faults)


def _values(raw: dict[str, Any], model: Model) -> list[Any]:
    """Numbers in -1 … 1 that follow from the content alone."""
    wanted = raw.get("outputDimensionality", DIMENSIONS)
    seed = orjson.dumps([model.name, raw["content"], raw.get("taskType"), raw.get("title")])
    found: list[Any] = []
    block = 0
    while len(found) < wanted:
        digest = blake2b(seed + block.to_bytes(4, "big"), digest_size=64).digest()
        found += [int.from_bytes(digest[at : at + 2], "big") / STEPS * 2 - 1 for at in range(0, 64, 2)]
        block += 1
    return found[:wanted]


def _usage(requests: list[dict[str, Any]], model: Model, faults: Faults) -> dict[str, Any]:
    if faults.no_usage or model.name == UNCOUNTED:
        return {}
    counted = sum(part_tokens(part).total() for one in requests for part in one["content"]["parts"])
    sent = 0 if faults.zero_usage else counted if faults.input_tokens is None else faults.input_tokens
    return {"usageMetadata": {"promptTokenCount": sent}}
