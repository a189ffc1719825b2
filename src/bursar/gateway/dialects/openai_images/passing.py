"""One attempt at a provider with OpenAI's image generations for a caller who speaks them.

A stream tells partial pictures as they come; its last event holds the picture and the usage, and waits until
the request is settled.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE, Attempt, PassThrough, Provider, broken_answer
from bursar.core.sse import Framer, frame_of, parse
from bursar.core.usage import Meter, Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.charges import is_charged, without_charges
from bursar.gateway.dialects.exchanges import FAILED, STREAM_MALFORMED, SseExchange
from bursar.gateway.dialects.openai_chat.errors import error_body
from bursar.gateway.dialects.openai_chat.passing import is_keepalive
from bursar.gateway.dialects.openai_images.pictures import PARTIAL_TOKENS, PIXELS_MAX

PARTIAL: Final = "image_generation.partial_image"
COMPLETED: Final = "image_generation.completed"
EVENT_BYTES_MAX: Final = 4 * PIXELS_MAX + 64 * 1024
FLAG_MORE_THAN_ASKED: Final = "more_pictures_than_asked"


class PassThroughImages(SseExchange):
    """Exchange whose both sides speak OpenAI's image generations."""

    def __init__(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> None:
        request = surface.edit(call.raw, attempt, stream=call.stream, headers=call.headers)
        super().__init__(call, provider, attempt, request)
        self._framer = Framer(limit=EVENT_BYTES_MAX)
        self._read_usage_of = surface.usage
        self._completed: dict[str, Any] = {}
        self._partial = 0

    def answer(self, status: int, body: bytes) -> bytes:
        """The body itself, once it is known to be an answer."""
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise broken_answer("The provider's answer is not JSON.") from None
        if not isinstance(parsed, dict):
            raise broken_answer("The provider's answer is not an object.")
        if parsed.get("error"):
            raise self.error(status, {}, body)
        pictures = parsed.get("data")
        if not isinstance(pictures, list):
            raise broken_answer("The provider's answer has no data.")
        self._note(parsed, sum(map(is_picture, pictures)))
        if not is_charged(parsed.get("usage")):
            return body
        return orjson.dumps({**parsed, "usage": without_charges(parsed["usage"])})

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The last event: the picture, and the usage with the cost in it."""
        usage = self._completed.get("usage")
        if not isinstance(usage, dict):
            usage = _told_usage(cost)
        told = {**self._completed, "usage": {**without_charges(usage), **(cost or {})}}
        return [_event(COMPLETED, told)]

    def cut(self, code: str, message: str, status: int = FAILED) -> list[bytes]:
        """An error event."""
        said = orjson.loads(error_body(status, code, message))
        return [_event("error", {"type": "error", **said})]

    def _read_frame(self, frame: bytes) -> bytes:
        event = parse(frame)
        if event is None:
            return frame if is_keepalive(frame) else b""
        if event.data == b"[DONE]":
            return b""
        try:
            said = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            self.measured.error = broken_answer(STREAM_MALFORMED)
            return b""
        if said.get("error") or event.name == "error":
            self.measured.error = self.error(200, {}, event.data)
            return b""
        return self._read_event(said, said.get("type") or event.name, frame)

    def _read_event(self, said: dict[str, Any], kind: str, frame: bytes) -> bytes:
        if kind == COMPLETED:
            self._completed = said
            self._note(said, 1)
            return b""
        if kind == PARTIAL:
            self._partial += 1
            self._count(0)
            self.measured.output_started = True
        return frame

    def _note(self, parsed: Mapping[str, Any], made: int) -> None:
        """The answer is whole: so many pictures, and what the provider says they took."""
        measured = self.measured
        self._count(made)
        usage = parsed.get("usage")
        read = self._read_usage_of(usage, service_tier=None) if isinstance(usage, dict) else None
        flags = () if made <= self._call.n else (FLAG_MORE_THAN_ASKED,)
        pictures = {Meter.IMAGE: min(made, self._call.n)} if made else {}
        if read is None:
            raw = orjson.dumps(usage) if isinstance(usage, dict) else None
            measured.report(Usage(pictures, raw=raw, flags=flags), final=False)
        else:
            counted = Usage(
                {**read.quantities, **pictures},
                raw=read.raw,
                flags=(*read.flags, *flags),
                service_tier=read.service_tier,
            )
            measured.report(counted, final=USAGE_INCOMPLETE not in read.flags)
        measured.output_started = measured.terminal = True

    def _count(self, made: int) -> None:
        """What was handed to the caller, by our estimate of the tokens in it."""
        made = min(made, self._call.n)
        tokens = made * (self._call.counts[Meter.OUT_IMAGE] // self._call.n)
        counted = {Meter.IMAGE: made, Meter.OUT_IMAGE: tokens if made else self._partial * PARTIAL_TOKENS}
        self.measured.counted = {meter: number for meter, number in counted.items() if number}

    @staticmethod
    def _text_of(frames: bytes) -> str:
        return frames.decode("utf-8", "replace")  # nothing is put off here


def _event(name: str, said: Mapping[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\n" + frame_of(orjson.dumps(said))


def is_picture(entry: object) -> bool:
    """Whether an entry of `data` holds one: a server may leave out what its moderation stopped."""
    return isinstance(entry, dict) and bool(entry.get("b64_json") or entry.get("url"))


def _told_usage(cost: Mapping[str, Any] | None) -> dict[str, int]:
    """OpenAI's `usage` where the provider told none: the estimate that was charged."""
    sent, came = int((cost or {}).get("input_tokens", 0)), int((cost or {}).get("output_tokens", 0))
    return {"input_tokens": sent, "output_tokens": came, "total_tokens": sent + came}
