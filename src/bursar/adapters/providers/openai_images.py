"""OpenAI's image generations: passed through; usage in tokens where the server tells it.

Source: the public OpenAI OpenAPI document, schemas `CreateImageRequest`, `ImageGenUsage` and `ImagesUsage`.
`input_tokens` includes text and image tokens, `output_tokens` those of the pictures and of text (details
tell them apart; without details all of it is picture). The DALL·E models and most servers that copy the
shape tell no tokens: then the pictures that came are all that is known.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE, Attempt, UpstreamRequest
from bursar.adapters.providers.counts import CountReader, split
from bursar.adapters.providers.openai_sending import Send, send
from bursar.adapters.providers.openai_usage import FLAG_TOTAL_MISMATCH
from bursar.core.usage import Meter, Usage

PATH = "/images/generations"
_IN, _OUT = "input_tokens_details", "output_tokens_details"


class Images:
    """`PassThrough` of a server with OpenAI's image generations."""

    def __init__(self, send: Send = send) -> None:
        self._send = send

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,  # noqa: ARG002 - the caller's own `stream` says it
        headers: Mapping[str, str],  # noqa: ARG002 - this dialect has none
    ) -> UpstreamRequest:
        """The caller's request with our model name."""
        return self._send(PATH, {**raw, "model": attempt.deployment.provider_model}, attempt)

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        return read_usage(raw, service_tier=service_tier)


def read_usage(raw: Mapping[str, Any], *, service_tier: str | None = None) -> Usage | None:
    """The disjoint form of an image answer's `usage`; `None` when it counts no output."""
    reader = CountReader(raw)
    sent, came = reader.optional("input_tokens"), reader.optional("output_tokens")
    total = reader.optional("total_tokens")
    if came is None and total is not None and sent is not None:
        came = max(0, total - sent)
    if came is None:
        return None
    if sent is None and total is None:
        reader.flag(USAGE_INCOMPLETE)
    sent = max(0, (total or 0) - came) if sent is None else sent
    if total not in {None, sent + came}:
        reader.flag(FLAG_TOTAL_MISMATCH)
    parts_in = {
        Meter.CACHE_READ: reader.count("cached_tokens", _IN),
        Meter.IN_IMAGE: reader.count("image_tokens", _IN),
    }
    counted = {
        **split(Meter.IN_FRESH, sent, parts_in, reader),
        **split(Meter.OUT_IMAGE, came, {Meter.OUT_TEXT: reader.count("text_tokens", _OUT)}, reader),
    }
    return Usage(
        quantities={meter: quantity for meter, quantity in counted.items() if quantity},
        raw=orjson.dumps(raw),
        flags=tuple(reader.flags),
        service_tier=service_tier,
    )
