"""What is held covers the dearest class that a request carries or may produce."""

from typing import Any, Final
from uuid import UUID

import orjson
import pytest

from bursar.core.estimate import hold_amount
from bursar.core.pricing import PriceBook, PriceRow, Quote, rate
from bursar.core.usage import Meter, Usage
from bursar.gateway.admit import extension, reach_of
from bursar.gateway.dialects import Asked, Call
from bursar.gateway.dialects.gemini import reading as gemini
from bursar.gateway.dialects.openai_chat import reading as chat

PROVIDER: Final = UUID(int=1)
TEXT: Final = {"type": "text", "text": "hello"}
SOUND: Final = {"type": "input_audio", "input_audio": {"data": "A" * 320_000, "format": "mp3"}}
OUTPUT: Final = 50


def row(meter: Meter, usd_per_million: int, tier_from: int = 0) -> PriceRow:
    return PriceRow(
        price_id=1,
        provider_id=PROVIDER,
        model="m",
        meter=meter,
        currency="USD",
        effective_from_ms=0,
        tier_from=tier_from,
        cost_atto=0,
        sale_atto=usd_per_million * 10**12,
    )


def quote(**usd_per_million: int) -> Quote:
    rows = [row(Meter(meter), usd) for meter, usd in usd_per_million.items()]
    return PriceBook(rows).quote(PROVIDER, "m", "USD", 1)


HEARING: Final = quote(in_fresh=2, in_audio=40, out_text=10, out_audio=80)


def held(call: Call, prices: Quote) -> int:
    return hold_amount(prices, call.input_tokens, OUTPUT, "USD", reach_of(call))


def sold(prices: Quote, **tokens: int) -> int:
    return rate(prices, Usage({Meter(meter): count for meter, count in tokens.items()}), "USD").sale


def chatted(*messages: dict[str, Any], **properties: Any) -> Call:
    return chat.read(orjson.dumps({"model": "m", "messages": messages, **properties}))


class TestGemini:
    """Google asks for sound three times what it asks for text, and hears what is in a film."""

    PRICES = quote(in_fresh=1, in_audio=3, out_text=10)

    @pytest.mark.parametrize(
        "part",
        [
            {"fileData": {"mimeType": "audio/mp3", "fileUri": "https://x.example/a.mp3"}},
            {"inlineData": {"mimeType": "AUDIO/mp3", "data": "A" * 320_000}},
            {"inlineData": {"mimeType": "video/mp4", "data": "A" * 320_000}},
        ],
        ids=["address", "capitals", "film"],
    )
    def test_is_held_for_at_the_price_of_the_sound_it_hears(self, part: dict[str, Any]) -> None:
        asked = Asked("/v1beta/models/m:generateContent", model="m", action="generateContent")
        call = gemini.read(orjson.dumps({"contents": [{"role": "user", "parts": [part]}]}), asked)
        assert held(call, self.PRICES) >= sold(self.PRICES, in_audio=call.input_tokens, out_text=OUTPUT)


class TestChats:
    def test_of_text_are_held_for_at_its_price(self) -> None:
        call = chatted({"role": "user", "content": [TEXT]}, {"role": "user", "content": "hello"})
        assert held(call, HEARING) == sold(HEARING, in_fresh=call.input_tokens, out_text=OUTPUT)
        assert reach_of(call) is reach_of(chatted({"role": "user", "content": "x"}))

    def test_with_sound_are_held_for_at_its_price_though_answered_in_text(self) -> None:
        call = chatted({"role": "user", "content": [SOUND, TEXT]})
        assert call.meters == {Meter.IN_AUDIO}
        assert held(call, HEARING) >= sold(HEARING, in_audio=call.input_tokens, out_text=OUTPUT)

    def test_that_go_on_from_a_spoken_answer_hear_it(self) -> None:
        call = chatted(
            {"role": "assistant", "audio": {"id": "audio_1"}}, {"role": "user", "content": "Go on"}
        )
        assert call.meters == {Meter.IN_AUDIO}

    @pytest.mark.parametrize(
        "asked", [{"modalities": ["text", "audio"]}, {"audio": {"voice": "ash", "format": "mp3"}}]
    )
    def test_answered_in_speech_are_held_for_at_its_price(self, asked: dict[str, Any]) -> None:
        call = chatted({"role": "user", "content": "Say it"}, **asked)
        assert held(call, HEARING) >= sold(HEARING, in_audio=call.input_tokens, out_audio=OUTPUT)

    def test_are_extended_at_the_dearest_class_they_may_be_answered_in(self) -> None:
        spoken = chatted({"role": "user", "content": "Say it"}, modalities=["text", "audio"])
        written = chatted({"role": "user", "content": "Write it"})
        assert extension(HEARING, spoken, "USD", 1_000) == sold(HEARING, out_audio=1_000)
        assert extension(HEARING, written, "USD", 1_000) == sold(HEARING, out_text=1_000)

    def test_that_are_long_are_extended_at_the_prices_of_long_ones(self) -> None:
        rows = [row(Meter.IN_FRESH, 2), row(Meter.OUT_TEXT, 10), row(Meter.OUT_TEXT, 15, tier_from=1_000)]
        tiered = PriceBook(rows).quote(PROVIDER, "m", "USD", 1)
        long = chatted({"role": "user", "content": "x" * 9_000})
        assert extension(tiered, long, "USD", 1_000) == 15_000_000
        assert extension(tiered, chatted({"role": "user", "content": "x"}), "USD", 1_000) == 10_000_000

    def test_that_count_more_than_tokens_are_held_for_at_the_dearest_class_too(self) -> None:
        call = chatted({"role": "user", "content": [SOUND]})
        call.counts = {Meter.WEB_SEARCH: 1}
        reach = reach_of(call)
        assert reach.meters == {Meter.IN_AUDIO}
        assert reach.counters == {Meter.REQUEST: 1, Meter.WEB_SEARCH: 1}
