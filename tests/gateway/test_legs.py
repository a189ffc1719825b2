"""Which models a request may be answered by."""

from typing import Any
from uuid import uuid4

import pytest

from bursar.core.chat import BadRequest
from bursar.core.pricing import PriceBook
from bursar.gateway.dialects import Call
from bursar.gateway.legs import legs_for
from bursar.gateway.snapshot import KeyRecord, ModelRecord, Snapshot
from bursar.gateway.wishes import Wishes

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def model(name: str, **told: Any) -> ModelRecord:
    usual = {
        "created_s": 0,
        "output_tokens_max": 100,
        "has_own_limit": True,
        "is_retired": False,
        "successor": None,
        "routes": (),
    }
    return ModelRecord(name=name, **{**usual, **told})


def key(*allowed: str) -> KeyRecord:
    return KeyRecord(
        api_key_id=uuid4(),
        organisation_id=uuid4(),
        wallet_id=uuid4(),
        asset="USD",
        expires_at_ms=None,
        allowed_models=frozenset(allowed) or None,
        allowed_patterns=(),
        requests_per_min=None,
        policy={},
    )


def call(content: Any = "hello", **told: Any) -> Call:
    usual = {
        "dialect": "openai_chat",
        "endpoint": "/v1/chat/completions",
        "model": "first",
        "stream": False,
        "include_usage": False,
        "max_tokens": None,
        "n": 1,
        "input_tokens": 10,
        "end_user": None,
        "tools_present": False,
        "raw": {"messages": [{"role": "user", "content": content}]},
    }
    return Call(**{**usual, **told})


def names(
    first: ModelRecord, *others: ModelRecord, asked: Call | None = None, wishes: Wishes | None = None,
    by: KeyRecord | None = None,
) -> list[str]:  # fmt: skip
    models = {one.name: one for one in (first, *others)}
    snapshot = Snapshot(keys={}, models=models, prices=PriceBook(()))
    return [one.name for one in legs_for(snapshot, by or key(), first, asked or call(), wishes)]


class TestLegs:
    def test_are_the_model_alone_when_nothing_was_said(self) -> None:
        assert names(model("first")) == ["first"]

    def test_are_its_fallbacks_in_order(self) -> None:
        first = model("first", fallbacks=("c", "b"))
        assert names(first, model("b"), model("c")) == ["first", "c", "b"]

    def test_leave_out_what_is_gone_retired_or_not_allowed(self) -> None:
        first = model("first", fallbacks=("gone", "old", "dear", "b"))
        others = [model("old", is_retired=True), model("dear"), model("b")]
        assert names(first, *others, by=key("first", "b", "old")) == ["first", "b"]

    def test_name_nothing_twice(self) -> None:
        wishes = Wishes(models=("b", "first", "b"))
        assert names(model("first"), model("b"), wishes=wishes) == ["first", "b"]

    def test_heed_a_wish_for_none(self) -> None:
        assert names(model("first", fallbacks=("b",)), model("b"), wishes=Wishes(models=())) == ["first"]


class TestWhatAModelLacks:
    @pytest.mark.parametrize(
        ("lack", "asked", "param"),
        [
            ("tools", call(tools_present=True), "tools"),
            ("stream", call(stream=True), "stream"),
            ("vision", call([{"type": "text", "text": "see"}, PICTURE]), "messages"),
            ("vision", call(raw={"contents": [{"parts": [{"inlineData": {}}]}]}), "messages"),
            ("vision", call(raw={"input": [{"content": [{"type": "input_image"}]}]}), "messages"),
        ],
    )
    def test_sends_the_request_to_another_or_refuses_it(self, lack: str, asked: Call, param: str) -> None:
        first = model("first", lacks=frozenset({lack}))
        able = model("able")
        wishes = Wishes(models=("able",))
        assert names(first, able, asked=asked, wishes=wishes) == ["able"]
        with pytest.raises(BadRequest) as refused:
            names(first, asked=asked)
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", param)
        assert names(first, able, asked=call(), wishes=wishes) == ["first", "able"]


class TestAPromptThatIsTooLong:
    def test_goes_to_a_model_with_more_room(self) -> None:
        first = model("first", context_window=100, fallbacks=("roomy",))
        asked = call(input_tokens=201)
        assert names(first, model("roomy", context_window=1_000), asked=asked) == ["roomy"]

    def test_is_left_to_the_provider_when_no_model_has_room(self) -> None:
        first = model("first", context_window=100, fallbacks=("b",))
        assert names(first, model("b", context_window=50), asked=call(input_tokens=10_000)) == ["first"]
