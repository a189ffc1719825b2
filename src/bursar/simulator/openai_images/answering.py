"""Read an image request as strictly as OpenAI would, and answer it, whole or as a stream."""

import base64
import struct
import zlib
from hashlib import blake2b
from typing import Any

import orjson

from bursar.simulator import shapes, tokens
from bursar.simulator.checks import Problem
from bursar.simulator.faults import Faults, FaultScriptInvalid, in_model, in_text, merged, read
from bursar.simulator.openai_chat.errors import HEADERS, body, faulty, invalid, refuse, refuse_problem
from bursar.simulator.openai_images.fields import (
    COMPATIBLE,
    IMAGE,
    ONLY_DRAWN_WITH_TOKENS,
    ONLY_DRAWN_WITHOUT,
    SIZES,
)
from bursar.simulator.reply import CREATED, SSE_TYPE, STAMP, Reply, StreamKit, json_reply, misbehave

SHAPES = shapes.load("openai_images")
PARTIAL_TOKENS = 100
PROMPT_TOKENS = 8
"""What the model puts around a prompt."""
PICTURE_EDGE = 8
SIZE_CHOSEN, QUALITY_CHOSEN = "1024x1024", "medium"


def understand(raw: dict[str, Any], queued: Faults, *, compatible: bool) -> tuple[str, Faults]:
    """Check a request; the model's name and the faults it is to be answered with."""
    try:
        (COMPATIBLE if compatible else IMAGE)(raw, ())
    except Problem as problem:
        raise refuse_problem(problem) from problem
    name, script = in_model(raw["model"])
    if not compatible:
        _check_model(raw, name)
    try:
        faults = merged(read(in_text(raw["prompt"]), onto=read(script)), queued)
    except FaultScriptInvalid as bad:
        raise invalid(str(bad), "prompt") from bad
    return name, faults


def _check_model(raw: dict[str, Any], name: str) -> None:
    """What this model does not take."""
    model = SHAPES["models"].get(name)
    if model is None:
        raise refuse("model_not_found", param="model", model=name)
    foreign = ONLY_DRAWN_WITHOUT if model["tokens"] else ONLY_DRAWN_WITH_TOKENS
    for param in foreign:
        if raw.get(param) is not None:
            raise refuse("unsupported_parameter", param=param, hint="")
    size = raw.get("size")
    if name in SIZES and size not in {None, *SIZES[name]}:
        raise invalid(f"Invalid size '{size}'.", "size")
    if name == "dall-e-3" and (raw.get("n") or 1) > 1:
        raise invalid("You must provide n=1 for this model.", "n")


def answer(raw: dict[str, Any], name: str, faults: Faults, *, key: str, compatible: bool) -> Reply:
    """The reply to a checked request."""
    failed = faulty(faults, model=name, key=key, compatible=compatible)
    if failed is not None:
        return failed
    if faults.content_filter:
        raise refuse("invalid", param="prompt", message="Your request was rejected by the safety system.")
    model = SHAPES["models"].get(name) or SHAPES["compatible"]
    usage = _usage(raw, faults) if model["tokens"] else None
    if raw.get("stream"):
        return _stream(raw, faults, usage)
    return _whole(raw, name, faults, usage)


def _whole(raw: dict[str, Any], name: str, faults: Faults, usage: dict[str, Any] | None) -> Reply:
    number = (raw.get("n") or 1) - (1 if faults.fewer else 0)
    gives_urls = not (SHAPES["models"].get(name) or SHAPES["compatible"])["tokens"]
    gives_urls = gives_urls and raw.get("response_format") != "b64_json"
    pictures = []
    for at in range(number):
        if gives_urls:
            pictures.append({"url": f"https://pictures.simulated.invalid/{STAMP}/{at}.png"})
        else:
            pictures.append({"b64_json": picture_of(raw["prompt"], at)})
    told: dict[str, Any] = {"created": CREATED, "data": pictures}
    if usage is not None:
        told |= {**_chosen(raw), "usage": usage}
    return json_reply(200, told, HEADERS, faults=faults)


def _stream(raw: dict[str, Any], faults: Faults, usage: dict[str, Any] | None) -> Reply:
    common = {"created_at": CREATED, **_chosen(raw)}
    events = [
        _event(
            "image_generation.partial_image",
            {"b64_json": picture_of(raw["prompt"], at), "partial_image_index": at, **common},
        )
        for at in range(raw.get("partial_images") or 0)
    ]
    last = {"b64_json": picture_of(raw["prompt"], len(events)), **common}
    if usage is not None:
        last["usage"] = usage
    events.append(_event("image_generation.completed", last))
    return Reply(
        status=200,
        headers=(SSE_TYPE, *HEADERS),
        events=tuple(misbehave(events, faults, _kit())),
        faults=faults,
    )


def _event(name: str, said: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **said}))


def _kit() -> StreamKit:
    error = body("500", model="", key="")[1]
    return StreamKit(
        keepalive=b": keep-alive\n\n",
        unknown=b'event: simulated.unknown\ndata: {"type":"simulated.unknown"}\n\n',
        error=b"event: error\ndata: " + orjson.dumps({"type": "error", **error}) + b"\n\n",
    )


def _chosen(raw: dict[str, Any]) -> dict[str, str]:
    """What the model chose where it was left to it."""
    size, quality, background = raw.get("size"), raw.get("quality"), raw.get("background")
    return {
        "background": "opaque" if background in {None, "auto"} else background,
        "output_format": raw.get("output_format") or "png",
        "quality": QUALITY_CHOSEN if quality in {None, "auto"} else quality,
        "size": SIZE_CHOSEN if size in {None, "auto"} else size,
    }


def _usage(raw: dict[str, Any], faults: Faults) -> dict[str, Any] | None:
    """Usage with OpenAI's identities: details add up to their sums, the sums to the total."""
    shape = SHAPES["usage"]
    if faults.no_usage:
        return None
    if faults.zero_usage:
        return dict(shape)
    chosen = _chosen(raw)
    by_size = SHAPES["picture_tokens"].get(chosen["quality"], SHAPES["picture_tokens"]["high"])
    each = by_size.get(chosen["size"], max(by_size.values()))
    drawn = (raw.get("n") or 1) * each + (raw.get("partial_images") or 0) * PARTIAL_TOKENS
    came = faults.output_tokens if faults.output_tokens is not None else drawn
    sent = faults.input_tokens
    if sent is None:
        sent = PROMPT_TOKENS + tokens.count(raw["prompt"])
    written = min(faults.reasoning or 0, came)
    return {
        "total_tokens": sent + came + (1 if faults.wrong_total else 0),
        "input_tokens": sent,
        "output_tokens": came,
        "input_tokens_details": {"text_tokens": sent, "image_tokens": 0},
        "output_tokens_details": {"image_tokens": came - written, "text_tokens": written},
    }


def picture_of(prompt: str, at: int) -> str:
    """A PNG of one colour, which prompt and number decide, in base64."""
    colour = blake2b(prompt.encode(), digest_size=3, salt=at.to_bytes(8)).digest()
    rows = (b"\0" + colour * PICTURE_EDGE) * PICTURE_EDGE
    header = struct.pack(">IIBBBBB", PICTURE_EDGE, PICTURE_EDGE, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )
    return base64.b64encode(png).decode()
