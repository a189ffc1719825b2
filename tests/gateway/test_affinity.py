"""Which requests begin alike, whatever dialect they are written in."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.gateway.affinity import (
    BEGINNING_CHARACTERS,
    CACHED_TOKENS_MIN,
    affinity_of,
    beginning_of,
)
from bursar.gateway.dialects import Call

MINE, OTHERS = UUID(int=1), UUID(int=2)
LONG = "word " * 400


def call(raw: dict[str, Any], input_tokens: int = CACHED_TOKENS_MIN) -> Call:
    return Call(
        dialect="openai_chat",
        endpoint="/v1/chat/completions",
        model="m",
        stream=False,
        include_usage=False,
        max_tokens=None,
        n=1,
        input_tokens=input_tokens,
        end_user=None,
        tools_present=False,
        raw=raw,
    )


def openai_chat(system: str, user: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}]}


def anthropic_messages(system: str, user: str) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": [{"type": "text", "text": user}]}],
        "system": [{"type": "text", "text": system}],
    }


def gemini(system: str, user: str) -> dict[str, Any]:
    return {
        "contents": [{"role": "user", "parts": [{"text": user}]}],
        "systemInstruction": {"parts": [{"text": system}]},
    }


def openai_responses(system: str, user: str) -> dict[str, Any]:
    return {"input": user, "instructions": system}


every_dialect = pytest.mark.parametrize(
    "write", [openai_chat, anthropic_messages, gemini, openai_responses], ids=lambda write: write.__name__
)


@every_dialect
class TestABeginning:
    def test_is_the_same_whatever_comes_after(self, write: Any) -> None:
        one, other = call(write(LONG, "a")), call(write(LONG, "b"))
        assert affinity_of(one, "m", MINE) == affinity_of(other, "m", MINE) is not None

    def test_differs_when_the_first_words_do(self, write: Any) -> None:
        one, other = call(write("A " + LONG, "a")), call(write("B " + LONG, "a"))
        assert affinity_of(one, "m", MINE) != affinity_of(other, "m", MINE)

    def test_goes_on_into_what_follows_a_short_instruction(self, write: Any) -> None:
        one, other = call(write("be brief", "A " + LONG)), call(write("be brief", "B " + LONG))
        assert affinity_of(one, "m", MINE) != affinity_of(other, "m", MINE)


class TestAffinity:
    def test_is_none_for_what_nobody_caches(self) -> None:
        assert affinity_of(call(openai_chat(LONG, "a"), CACHED_TOKENS_MIN - 1), "m", MINE) is None

    def test_is_apart_for_models_and_organisations(self) -> None:
        asked = call(openai_chat(LONG, "a"))
        assert len({affinity_of(asked, *who) for who in (("m", MINE), ("n", MINE), ("m", OTHERS))}) == 3

    def test_is_by_the_callers_key_when_there_is_one(self) -> None:
        one = call({**openai_chat("A " + LONG, "a"), "prompt_cache_key": "k"})
        other = call({**openai_chat("B " + LONG, "a"), "prompt_cache_key": "k"})
        assert affinity_of(one, "m", MINE) == affinity_of(other, "m", MINE)

    def test_takes_text_no_encoding_knows(self) -> None:
        assert affinity_of(call(openai_chat("\ud800" + LONG, "a")), "m", MINE) is not None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=2_000),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(max_size=9), inside),
)


class TestTheWork:
    @given(st.dictionaries(st.sampled_from(["messages", "system", "input", "contents", "x"]), anything))
    def test_is_bounded_for_any_body(self, raw: dict[str, Any]) -> None:
        parts = beginning_of(raw).split("\0")
        assert sum(map(len, parts)) <= BEGINNING_CHARACTERS + len(parts)

    def test_does_not_grow_with_the_prompt(self) -> None:
        assert len(beginning_of({"messages": [{"content": "x" * 10**7}] * 100})) <= 2 * BEGINNING_CHARACTERS
