"""The official OpenAI client at the simulated image generations."""

import base64
import zlib

import openai
import pytest

from bursar.simulator import Simulator

DRAWS = "gpt-image-1"


class TestPictures:
    def test_are_pngs_that_prompt_and_number_decide(self, gpt: openai.OpenAI) -> None:
        one = gpt.images.generate(model=DRAWS, prompt="a cat", n=2)
        again = gpt.images.generate(model=DRAWS, prompt="a cat", n=2)
        pictures = [entry.b64_json or "" for entry in one.data or ()]
        assert pictures == [entry.b64_json for entry in again.data or ()]
        assert pictures[0] != pictures[1]
        png = base64.b64decode(pictures[0])
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(zlib.decompress(png[png.index(b"IDAT") + 4 : -16])) == 8 * (1 + 8 * 3)

    @pytest.mark.parametrize(
        ("asked", "tokens"),
        [
            ({"quality": "low", "size": "1024x1024"}, 272),
            ({"quality": "high", "size": "1024x1536", "n": 2}, 12_480),
            ({}, 1_056),
        ],
    )
    def test_take_the_documented_tokens(
        self, gpt: openai.OpenAI, asked: dict[str, object], tokens: int
    ) -> None:
        answer = gpt.images.generate(model=DRAWS, prompt="a cat", **asked)  # type: ignore[call-overload]  # drawn from a table
        assert answer.usage.output_tokens == tokens
        assert answer.usage.total_tokens == answer.usage.input_tokens + tokens

    def test_of_older_models_are_addresses_without_usage(self, gpt: openai.OpenAI) -> None:
        answer = gpt.images.generate(model="dall-e-3", prompt="a cat")
        assert answer.usage is None
        assert [entry.url for entry in answer.data or () if entry.url]

    def test_stream_partial_ones_first(self, gpt: openai.OpenAI) -> None:
        stream = gpt.images.generate(model=DRAWS, prompt="a cat", stream=True, partial_images=2)
        events = list(stream)
        assert [event.type for event in events] == [
            "image_generation.partial_image",
            "image_generation.partial_image",
            "image_generation.completed",
        ]

    @pytest.mark.parametrize(
        ("asked", "param"),
        [
            ({"n": 11}, "n"),
            ({"quality": "best"}, "quality"),
            ({"model": "dall-e-3", "n": 2}, "n"),
            ({"model": "dall-e-2", "size": "1x1"}, "size"),
            ({"model": "dall-e-2", "stream": True}, "stream"),
            ({"response_format": "url"}, "response_format"),
            ({"prompt": ""}, "prompt"),
        ],
    )
    def test_refuse_what_openai_refuses(
        self, gpt: openai.OpenAI, asked: dict[str, object], param: str
    ) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            gpt.images.generate(**{"model": DRAWS, "prompt": "a cat", **asked})  # type: ignore[call-overload]  # the same
        assert refused.value.param == param

    def test_fail_as_the_script_says(self, simulator: Simulator, gpt: openai.OpenAI) -> None:
        simulator.faults.add("fewer", count=1)
        assert len(gpt.images.generate(model=DRAWS, prompt="a", n=3).data or ()) == 2
        with pytest.raises(openai.APIError, match="server had an error"):
            list(gpt.images.generate(model=f"{DRAWS}+error_event_after=0", prompt="a", stream=True))
        with pytest.raises(openai.BadRequestError):
            gpt.images.generate(model=DRAWS, prompt="a [[sim: content_filter]]")
