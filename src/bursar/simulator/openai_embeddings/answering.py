"""Read an embedding request as strictly as OpenAI would, and answer it."""

import base64
import struct
from hashlib import blake2b
from math import sqrt
from typing import Any

from bursar.simulator import shapes, tokens
from bursar.simulator.checks import Check, Kind, Path, Problem, choice, integer, list_of, record, text
from bursar.simulator.faults import Faults, FaultScriptInvalid, in_model, in_text, merged, read
from bursar.simulator.openai_chat.errors import HEADERS, faulty, invalid, refuse, refuse_problem
from bursar.simulator.reply import Reply, json_reply

SHAPES = shapes.load("openai_embeddings")
INPUTS_MAX = 2048
TOKENS_EACH_MAX = 8192
TOKENS_MAX = 300_000
_TOKENS = list_of(integer(0, 2**31 - 1), least=1)
_TEXT = text(shortest=1)


def _one(value: Any, path: Path) -> None:
    (_TOKENS if isinstance(value, list) else _TEXT)(value, path)


def _input(value: Any, path: Path) -> None:
    """A text, texts, tokens, or arrays of tokens."""
    if not isinstance(value, list):
        _TEXT(value, path)
        return
    if not value:
        raise Problem(Kind.SHORT, path, expected=1, value=value)
    if isinstance(value[0], int):
        _TOKENS(value, path)
        return
    kind = type(value[0])
    if any(type(one) is not kind for one in value):
        raise Problem(Kind.TYPE, path, expected="array", value=value)
    list_of(_one, most=INPUTS_MAX)(value, path)


FIELDS: dict[str, Check] = {
    "model": text(shortest=1),
    "input": _input,
    "encoding_format": choice("float", "base64"),
    "dimensions": integer(1),
    "user": text(),
}
EMBED = record(FIELDS, required=("input",))
COMPATIBLE = record(FIELDS, required=("input",), closed=False)


def understand(raw: dict[str, Any], queued: Faults, *, compatible: bool) -> tuple[str, Faults]:
    """Check a request; the model's name and the faults it is to be answered with."""
    try:
        (COMPATIBLE if compatible else EMBED)(raw, ())
    except Problem as problem:
        raise refuse_problem(problem) from problem
    name, script = in_model(raw["model"])
    if not compatible and name not in SHAPES["models"]:
        raise refuse("model_not_found", param="model", model=name)
    said = "\n".join(one for one in inputs_of(raw) if isinstance(one, str))
    try:
        faults = merged(read(in_text(said), onto=read(script)), queued)
    except FaultScriptInvalid as bad:
        raise invalid(str(bad), "input") from bad
    return name, faults


def answer(raw: dict[str, Any], name: str, faults: Faults, *, key: str, compatible: bool) -> Reply:
    """The reply to a checked request."""
    failed = faulty(faults, model=name, key=key, compatible=compatible)
    if failed is not None:
        return failed
    model = SHAPES["models"].get(name) or SHAPES["compatible"]
    wanted = raw.get("dimensions")
    if wanted is not None and not (model["shortens"] and wanted <= model["dimensions"]):
        raise invalid(f"This model does not support {wanted} dimensions.", "dimensions")
    inputs = inputs_of(raw)
    counted = [tokens.count(one) if isinstance(one, str) else len(one) for one in inputs]
    if max(counted) > TOKENS_EACH_MAX or sum(counted) > TOKENS_MAX:
        raise invalid(f"This model's maximum context length is {TOKENS_EACH_MAX} tokens.", "input")
    size = wanted or model["dimensions"]
    packs = raw.get("encoding_format") == "base64"
    entries = [
        {**SHAPES["entry"], "index": index, "embedding": _written(vector_of(one, size), packs=packs)}
        for index, one in enumerate(inputs[: len(inputs) - (1 if faults.fewer else 0)])
    ]
    told = {**SHAPES["answer"], "data": entries, "model": name, "usage": _usage(sum(counted), faults)}
    if told["usage"] is None:
        del told["usage"]
    return json_reply(200, told, HEADERS, faults=faults)


def inputs_of(raw: dict[str, Any]) -> list[str | list[int]]:
    """The inputs, one for each vector."""
    given = raw["input"]
    return [given] if isinstance(given, str) or isinstance(given[0], int) else given


def vector_of(one: str | list[int], size: int) -> list[float]:
    """A vector of length one that depends on the input alone; a shorter one is the start of a longer one."""
    seed = one.encode() if isinstance(one, str) else b",".join(b"%d" % token for token in one)
    numbers: list[float] = []
    block = 0
    while len(numbers) < size:
        digest = blake2b(seed, digest_size=64, salt=block.to_bytes(8)).digest()
        numbers += [number / 2**31 for number in struct.unpack("<16i", digest)]
        block += 1
    length = sqrt(sum(number * number for number in numbers[:size]))
    return [number / length for number in numbers[:size]]


def _written(vector: list[float], *, packs: bool) -> str | list[float]:
    if packs:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector


def _usage(counted: int, faults: Faults) -> dict[str, int] | None:
    if faults.no_usage:
        return None
    if faults.zero_usage:
        return dict(SHAPES["answer"]["usage"])
    prompt = counted if faults.input_tokens is None else faults.input_tokens
    return {"prompt_tokens": prompt, "total_tokens": prompt + (1 if faults.wrong_total else 0)}
