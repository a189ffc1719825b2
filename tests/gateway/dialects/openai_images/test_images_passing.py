"""One attempt at pictures: whole answers, streams, and strangers' bytes in both."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.openai import OpenAI
from bursar.core.usage import Meter
from bursar.gateway.dialects import Exchange
from bursar.gateway.dialects.openai_images.reading import read
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

USAGE = {"input_tokens": 5, "output_tokens": 272, "total_tokens": 277}
COST = {"cost": "0.01", "currency": "USD", "balance": "1.00", "input_tokens": 9, "output_tokens": 272}
ATOMS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4)
KEYS = st.sampled_from(["type", "data", "usage", "error", "b64_json", "url", "input_tokens", "output_tokens"])
KINDS = st.sampled_from(["image_generation.partial_image", "image_generation.completed", "error", "odd"])
JSON = st.recursive(
    ATOMS | KINDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=8
)


def opened(**fields: Any) -> Exchange:
    asked = {"model": "m", "prompt": "a cat", "quality": "low", "size": "1024x1024", **fields}
    return open_exchange(read(orjson.dumps(asked)), OpenAI(), attempt("real").deployment, SECRET, None)


def event(kind: str, **said: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **said}))


PARTIAL = event("image_generation.partial_image", b64_json="aGk=", partial_image_index=0)


def content(frame: bytes) -> Any:
    return orjson.loads(frame.partition(b"data: ")[2])


class TestWholeAnswers:
    def test_are_handed_on_byte_for_byte(self) -> None:
        exchange = opened(n=2)
        body = orjson.dumps({"data": [{"url": "x"}, {"b64_json": "y"}], "usage": USAGE, "odd": 1})
        assert exchange.answer(200, body) is body
        usage = exchange.measured.usage
        assert usage is not None
        assert usage.quantities == {Meter.IN_FRESH: 5, Meter.OUT_IMAGE: 272, Meter.IMAGE: 2}
        assert exchange.measured.usage_final

    def test_without_usage_count_the_pictures_but_not_for_good(self) -> None:
        exchange = opened(n=2)
        exchange.answer(200, orjson.dumps({"data": [{"url": "x"}, {"url": "y"}]}))
        measured = exchange.measured
        assert measured.usage is not None
        assert (measured.usage.quantities, measured.usage_final) == ({Meter.IMAGE: 2}, False)
        assert measured.counted == {Meter.IMAGE: 2, Meter.OUT_IMAGE: 2 * 272}

    def test_keep_what_a_provider_says_instead_of_tokens(self) -> None:
        """xAI tells money; it is not told to the caller."""
        exchange = opened()
        usage = {"cost_in_usd_ticks": 200_000_000}
        told = exchange.answer(200, orjson.dumps({"data": [{"url": "x"}], "usage": usage}))
        measured = exchange.measured
        assert measured.usage is not None
        assert (measured.usage.raw, measured.usage_final) == (orjson.dumps(usage), False)
        assert b"ticks" not in told

    def test_count_only_entries_that_hold_a_picture(self) -> None:
        exchange = opened(n=3)
        exchange.answer(200, orjson.dumps({"data": [{"url": "x"}, {"revised_prompt": "no"}, None]}))
        assert exchange.measured.counted[Meter.IMAGE] == 1

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": {}}', b'{"error": {"message": "no"}}'])
    def test_are_nothing_else(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure):
            opened().answer(200, body)

    @given(JSON)
    def test_of_strangers_are_taken_or_refused(self, said: Any) -> None:
        exchange = opened()
        try:
            exchange.answer(200, orjson.dumps(said))
        except ProviderFailure:
            return
        assert exchange.measured.terminal
        assert exchange.measured.counted.get(Meter.IMAGE, 0) <= 1


class TestStreams:
    @given(st.lists(st.integers(1, 200), max_size=4))
    def test_mean_the_same_however_they_are_cut(self, cuts: list[int]) -> None:
        exchange = opened(stream=True, partial_images=2)
        last = event("image_generation.completed", b64_json="ZW5k", usage=USAGE)
        stream = PARTIAL + b": keep-alive\n\n" + PARTIAL + last
        frames, start = [], 0
        for cut in [*cuts, len(stream)]:
            frames += exchange.feed(stream[start : start + cut])
            start += cut
        assert b"".join(frames) == PARTIAL + b": keep-alive\n\n" + PARTIAL
        (tail,) = exchange.tail(COST)
        assert tail.startswith(b"event: image_generation.completed\n")
        assert content(tail) == {
            "type": "image_generation.completed",
            "b64_json": "ZW5k",
            "usage": {**USAGE, **COST},
        }
        assert exchange.measured.terminal
        assert exchange.measured.delivered_tokens == 0

    def test_count_partial_pictures_until_the_whole_one_comes(self) -> None:
        exchange = opened(stream=True, partial_images=2)
        exchange.feed(PARTIAL + PARTIAL)
        assert exchange.measured.counted == {Meter.OUT_IMAGE: 200}
        exchange.feed(event("image_generation.completed", b64_json="x"))
        assert exchange.measured.counted == {Meter.IMAGE: 1, Meter.OUT_IMAGE: 272 + 200}
        assert not exchange.measured.usage_final

    def test_tell_the_estimate_where_the_provider_told_nothing(self) -> None:
        exchange = opened(stream=True)
        exchange.feed(event("image_generation.completed", b64_json="x"))
        usage = content(exchange.tail(COST)[0])["usage"]
        assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (9, 272, 281)

    @pytest.mark.parametrize(
        "frame",
        [
            event("error", error={"message": "no", "type": "server_error"}),
            b'data: {"error": {"message": "no"}}\n\n',
            b"data: {broken\n\n",
            b"data: 5\n\n",
        ],
    )
    def test_end_at_an_error_and_pass_none_of_it_on(self, frame: bytes) -> None:
        exchange = opened(stream=True)
        assert exchange.feed(PARTIAL + frame + PARTIAL) == [PARTIAL]
        assert exchange.measured.error is not None

    def test_cut_by_us_end_with_an_error_that_sdks_see(self) -> None:
        (frame,) = opened(stream=True).cut("provider_error", "It broke off.", 502)
        assert frame.startswith(b"event: error\n")
        assert content(frame)["error"] == {
            "message": "It broke off.",
            "type": "api_error",
            "param": None,
            "code": "provider_error",
        }

    @given(st.lists(JSON, max_size=4))
    def test_of_strangers_never_break(self, said: list[Any]) -> None:
        exchange = opened(stream=True)
        for one in said:
            exchange.feed(b"data: " + orjson.dumps(one) + b"\n\n")
        exchange.end()
        measured = exchange.measured
        assert measured.counted.get(Meter.IMAGE, 0) <= 1
        if measured.terminal:
            assert content(exchange.tail(COST)[0])["usage"]["cost"] == "0.01"
