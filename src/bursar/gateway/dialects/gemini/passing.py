"""One attempt at Google for a caller who speaks its dialect: what comes goes on.

A stream has no mark of its end: it is complete when the connection closes after every candidate told why it
ended. The chunk that tells it is withheld, so that it can carry the cost; what else comes is passed on as
it came.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE, Attempt, PassThrough, Provider, broken_answer
from bursar.core.chat import Finish
from bursar.core.sse import parse
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.exchanges import FAILED, STREAM_MALFORMED, SseExchange
from bursar.gateway.dialects.gemini.frames import KEEP_ALIVE, Frames, told_cost, told_usage
from bursar.gateway.dialects.gemini.thoughts import unsealed

_FINISH: Final[Mapping[str, Finish]] = {"STOP": Finish.STOP, "MAX_TOKENS": Finish.LENGTH}
_FILTERED: Final = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "LANGUAGE",
    "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
})  # fmt: skip


class PassThroughExchange(SseExchange):
    """Exchange whose both sides speak the Gemini API."""

    def __init__(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> None:
        raw = {**call.raw, "contents": unsealed(call.raw.get("contents"))}
        request = surface.edit(raw, attempt, stream=call.stream, headers=call.headers)
        super().__init__(call, provider, attempt, request)
        self._read_usage_of = surface.usage
        self._frames = Frames(call)
        self._finished: set[int] = set()
        self._is_blocked = False
        self._withheld: dict[str, Any] | None = None
        self._frame: dict[str, Any] = {}

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
        if not isinstance(parsed.get("candidates"), list) and not _is_blocked(parsed):
            raise broken_answer("The provider's answer has no candidates.")
        self._read(parsed)
        self._take_usage(parsed.get("usageMetadata"), final=True)
        self.measured.terminal = True
        return body

    def end(self) -> list[bytes]:
        """The connection closed: that ends an answer whose candidates have all told why they ended."""
        frames = super().end()
        if self._has_ended() and self.measured.error is None:
            self.measured.terminal = True
        return frames

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The withheld chunk, with the cost in its usage."""
        chunk = self._withheld or {"candidates": [], **self._frame}
        usage = chunk.get("usageMetadata")
        if not isinstance(usage, dict) or not self.measured.usage_final:
            usage = {**(usage or {}), **told_usage(self._call, cost, self.measured.delivered_tokens)}
        chunk["usageMetadata"] = {**usage, **told_cost(cost)}
        return self._frames.last(orjson.dumps(chunk))

    def cut(self, code: str, message: str, status: int = FAILED) -> list[bytes]:
        """What was withheld, and an error, which ends such a stream."""
        return [*filter(None, [self._release()]), *self._frames.error(code, message, status)]

    def _read_frame(self, frame: bytes) -> bytes:
        event = parse(frame)
        if event is None:
            return KEEP_ALIVE if frame.startswith(b":") else b""
        try:
            chunk = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            chunk = None
        if not isinstance(chunk, dict):
            self.measured.error = broken_answer(STREAM_MALFORMED)
            return b""
        if "error" in chunk:
            self.measured.error = self.error(200, {}, event.data)
            return b""
        self._read(chunk)
        released = self._release()
        self._take_usage(chunk.get("usageMetadata"), final=self._has_ended())
        if self._has_ended():
            self._withheld = chunk
            return released
        return released + self._frames.of(event.data.replace(b"\n", b" "))

    def _release(self) -> bytes:
        """What was withheld although more was to come."""
        withheld, self._withheld = self._withheld, None
        return b"" if withheld is None else self._frames.of(orjson.dumps(withheld))

    def _has_ended(self) -> bool:
        return self._is_blocked or len(self._finished) >= self._call.n

    def _read(self, response: Mapping[str, Any]) -> None:
        """Note output, ends and names."""
        if not self._frame:
            named = ("modelVersion", "responseId")
            self._frame = {name: response[name] for name in named if name in response}
            identity = response.get("responseId")
            if self.measured.provider_request_id is None and isinstance(identity, str):
                self.measured.provider_request_id = identity
        if _is_blocked(response):
            self._is_blocked = True
            self.measured.finish(Finish.CONTENT_FILTER.value)
        listed = response.get("candidates")
        for position, candidate in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(candidate, dict):
                self._read_candidate(candidate, position)

    def _read_candidate(self, candidate: Mapping[str, Any], position: int) -> None:
        for text in texts_of(candidate):
            self.measured.deliver(text)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason:
            finish = Finish.CONTENT_FILTER if reason in _FILTERED else _FINISH.get(reason, Finish.STOP)
            self.measured.finish(finish.value)
            index = candidate.get("index")
            self._finished.add(index if isinstance(index, int) else position)

    @staticmethod
    def _text_of(frames: bytes) -> str:
        return frames.decode("utf-8", "replace")  # nothing is put off here

    def _take_usage(self, raw: object, *, final: bool) -> None:
        """The last report wins; it is final once the answer has ended, if it counts what was said."""
        if not isinstance(raw, dict):
            return
        usage = self._read_usage_of(raw, service_tier=None)
        if usage is None:
            return
        counted = (
            "candidatesTokenCount" in raw or "thoughtsTokenCount" in raw or not self.measured.output_started
        )
        self.measured.report(usage, final=final and counted and USAGE_INCOMPLETE not in usage.flags)


def _is_blocked(response: Mapping[str, Any]) -> bool:
    feedback = response.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason")) and not response.get("candidates")


def texts_of(candidate: Mapping[str, Any]) -> Iterator[str]:
    """The output of a candidate as text: words, thoughts, calls, code; a picture counts in the usage."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        text, call = part.get("text"), part.get("functionCall")
        if isinstance(text, str):
            yield text
        if isinstance(call, dict):
            yield f"{call.get('name')}{orjson.dumps(call.get('args') or {}).decode()}"
        code = part.get("executableCode")
        if isinstance(code, dict) and isinstance(code.get("code"), str):
            yield code["code"]
        if isinstance(part.get("inlineData"), dict):
            yield " "  # something came, whatever it weighs
