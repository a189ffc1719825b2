"""One attempt at a provider with OpenAI's embeddings for a caller who speaks them: the same bytes out."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import Attempt, PassThrough, Provider, broken_answer
from bursar.core.usage import Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.charges import is_charged, without_charges
from bursar.gateway.dialects.exchanges import WholeExchange

READ_WHOLE_BYTES_MAX: Final = 256 * 1024
"""Longer answers are vectors by the thousand: reading them all would hold up everybody for a tenth of a
second and more, and only their end is of interest."""
_USAGE: Final = b'"usage"'
_DATA: Final = b'"data"'


class PassThroughEmbedding(WholeExchange):
    """Exchange whose both sides speak OpenAI's embeddings."""

    def __init__(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> None:
        request = surface.edit(call.raw, attempt, stream=False, headers=call.headers)
        super().__init__(call, provider, attempt, request)
        self._read_usage_of = surface.usage

    def answer(self, status: int, body: bytes) -> bytes:
        """The body itself, once it is known to be an answer."""
        around = frame_of_long(body)
        parsed = around or _parsed(body)
        if parsed.get("error"):
            raise self.error(status, {}, body)
        if not isinstance(parsed.get("data"), list):
            raise broken_answer("The provider's answer has no data.")
        usage = parsed.get("usage")
        if isinstance(usage, dict):
            read = self._read_usage_of(usage, service_tier=None)
            counted = Usage({}, raw=orjson.dumps(usage)) if read is None else read
            self.measured.report(counted, final=read is not None)
        self.measured.output_started = self.measured.terminal = True
        return _uncharged(body, parsed, is_long=around is not None) if is_charged(usage) else body


def frame_of_long(body: bytes) -> dict[str, Any] | None:
    """What stands around the vectors of a long answer; None: it is to be read in full.

    An unescaped quote cannot stand inside a JSON string, so `"usage"` is a key or a value; and if all from
    there on closes one object exactly, it is a key of the outermost one.
    """
    start = body.rfind(_USAGE)
    if len(body) <= READ_WHOLE_BYTES_MAX or start < 0 or _DATA not in body[:READ_WHOLE_BYTES_MAX]:
        return None
    try:
        tail: dict[str, Any] = orjson.loads(b"{" + body[start:])
    except orjson.JSONDecodeError:
        return None
    return {"data": [], **tail}


def _uncharged(body: bytes, parsed: Mapping[str, Any], *, is_long: bool) -> bytes:
    """The answer without the provider's price; of a long one only the end is written anew."""
    told = {**parsed, "usage": without_charges(parsed["usage"])}
    if not is_long:
        return orjson.dumps(told)
    if not told["data"]:
        del told["data"]  # it stands before the end
    return body[: body.rfind(_USAGE)] + orjson.dumps(told)[1:]


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise broken_answer("The provider's answer is not JSON.") from None
    if not isinstance(parsed, dict):
        raise broken_answer("The provider's answer is not an object.")
    return parsed
