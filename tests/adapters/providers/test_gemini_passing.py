"""Requests in the Gemini API's own dialect on their way to it: bounded, priced, kept out of our account."""

from typing import Any

import orjson
import pytest

from bursar.adapters.providers.gemini import Gemini
from bursar.core.chat import BadRequest
from recorded import SECRET, attempt

HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
MODEL = "gemini-2.5-flash"


def sent(surface: str, raw: dict[str, Any], *, bound: int | None = None) -> Any:
    request = Gemini().passes[surface].edit(raw, attempt(MODEL, max_tokens=bound), stream=False, headers={})
    assert SECRET.encode() not in request.body
    return orjson.loads(request.body)


def shown(uri: str) -> dict[str, Any]:
    return {"fileData": {"fileUri": uri}}


class TestGenerate:
    def test_changes_nothing_else(self) -> None:
        raw = {
            "contents": [HELLO],
            "somethingNew": {"a": [1]},
            "generationConfig": {"newKnob": 1},
            "model": "mine",
        }
        assert sent("gemini", raw) == {name: value for name, value in raw.items() if name != "model"}

    @pytest.mark.parametrize(
        ("given", "bound", "kept"),
        [(None, None, None), (7, None, 7), (7, 5, 5), (None, 5, 5), (100_000, None, 64_000)],
    )
    def test_bounds_the_output(self, given: int | None, bound: int | None, kept: int | None) -> None:
        config = {} if given is None else {"maxOutputTokens": given}
        written = sent("gemini", {"contents": [HELLO], "generationConfig": config}, bound=bound)
        assert written["generationConfig"].get("maxOutputTokens") == kept

    @pytest.mark.parametrize("tool", ["googleSearch", "googleSearchRetrieval", "googleMaps", "fileSearch"])
    def test_refuses_tools_that_are_billed_per_call(self, tool: str) -> None:
        with pytest.raises(BadRequest) as refused:
            sent("gemini", {"contents": [HELLO], "tools": [{"codeExecution": {}}, {tool: {}}]})
        assert refused.value.param == f"tools[1].{tool}"

    @pytest.mark.parametrize(
        "tool", [{"urlContext": {}}, {"mcpServers": [{"name": "x"}]}], ids=["pages", "servers"]
    )
    def test_refuses_what_brings_in_input_without_bound(self, tool: dict[str, Any]) -> None:
        for surface in ("gemini", "gemini_token_counts"):
            with pytest.raises(BadRequest, match="without bound") as refused:
                sent(surface, {"contents": [HELLO], "tools": [{"codeExecution": {}}, tool]})
            assert refused.value.param == f"tools[1].{next(iter(tool))}"

    def test_lets_tools_pass_that_are_billed_in_tokens(self) -> None:
        tools = [{"codeExecution": {}}]
        assert sent("gemini", {"contents": [HELLO], "tools": tools})["tools"] == tools

    @pytest.mark.parametrize(
        ("tier", "passes"), [("standard", True), ("FLEX", True), ("priority", False), (7, False)]
    )
    def test_knows_the_tiers_it_has_prices_for(self, tier: Any, *, passes: bool) -> None:
        raw = {"contents": [HELLO], "serviceTier": tier}
        if passes:
            assert sent("gemini", raw)["serviceTier"] == tier
        else:
            with pytest.raises(BadRequest, match="serviceTier"):
                sent("gemini", raw)


class TestFilesInOurAccount:
    """Every caller's requests use our credentials: what one kept there, another could read."""

    KEPT = (
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "HTTPS://GenerativeLanguage.googleapis.com/v1beta/%66iles/abc",
        "files/abc",
        "v1beta/files/abc",
        " gs://bucket/a.pdf",
    )

    @pytest.mark.parametrize("uri", KEPT)
    def test_are_refused_wherever_they_stand(self, uri: str) -> None:
        answered = {"functionResponse": {"name": "f", "response": {}, "parts": [shown(uri)]}}
        for raw, place in (
            ({"contents": [{"parts": [{"text": "x"}, shown(uri)]}]}, "contents[0].parts[1].fileData.fileUri"),
            (
                {"contents": [{"parts": [answered]}]},
                "contents[0].parts[0].functionResponse.parts[0].fileData.fileUri",
            ),
            (
                {"contents": [HELLO], "systemInstruction": {"parts": [shown(uri)]}},
                "systemInstruction.parts[0].fileData.fileUri",
            ),
        ):
            for surface in ("gemini", "gemini_token_counts"):
                with pytest.raises(BadRequest) as refused:
                    sent(surface, raw)
                assert refused.value.param == place

    @pytest.mark.parametrize("uri", KEPT)
    def test_are_not_embedded_either(self, uri: str) -> None:
        content = {"parts": [shown(uri)]}
        for raw in ({"content": content}, {"requests": [{"content": content}]}):
            with pytest.raises(BadRequest) as refused:
                sent("gemini_embeddings", raw)
            assert str(refused.value.param).endswith("content.parts[0].fileData.fileUri")

    @pytest.mark.parametrize("uri", ["https://x.example/files/a.pdf", "https://www.youtube.com/watch?v=1"])
    def test_are_not_those_that_anybody_can_read(self, uri: str) -> None:
        raw = {"contents": [{"parts": [shown(uri)]}]}
        assert sent("gemini", raw) == raw

    def test_caches_are_refused_too(self) -> None:
        with pytest.raises(BadRequest, match="cachedContent"):
            sent("gemini", {"contents": [HELLO], "cachedContent": "cachedContents/abc"})


class TestCounts:
    def test_of_a_whole_request_name_our_model(self) -> None:
        whole = {"model": "models/mine", "contents": [HELLO]}
        assert sent("gemini_token_counts", {"generateContentRequest": whole}) == {
            "generateContentRequest": {"model": f"models/{MODEL}", "contents": [HELLO]}
        }


class TestEmbeddings:
    def test_of_a_batch_name_our_model_in_each(self) -> None:
        requests = [{"model": "models/mine", "content": HELLO, "taskType": "CLUSTERING"}]
        assert sent("gemini_embeddings", {"requests": requests}) == {
            "requests": [{"model": f"models/{MODEL}", "content": HELLO, "taskType": "CLUSTERING"}]
        }
