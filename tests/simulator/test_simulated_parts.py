"""The simulator's own pure parts: tokens, prose, schemas, scripts, caches, stamps."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.simulator import tokens
from bursar.simulator.catalogue import ANTHROPIC, OPENAI
from bursar.simulator.checks import Problem
from bursar.simulator.faults import NONE, Faults, FaultScriptInvalid, grammar, in_model, in_text, merged, read
from bursar.simulator.prompt_cache import CacheUse, PromptCache, Segment
from bursar.simulator.prose import Dice, write
from bursar.simulator.reply import CREATED_BYTES, STAMP_BYTES, Prepared, Reply, stamp_of, stamped, wire
from bursar.simulator.schema import DEPTH_MAX, Builder, strict_fault, well_formed

NODE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "next"],
        }
    },
    "$ref": "#/$defs/node",
}


KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(
        ["object", "array", "string", "integer", "number", "boolean", "null", ["null"], ["string"]]
    ),
    "enum": st.lists(st.integers(-9, 9), min_size=1, max_size=2),
    "required": st.lists(st.sampled_from("abc"), max_size=2),
    "uniqueItems": st.booleans(),
    "pattern": st.sampled_from(["^a$", "[", "x{3}"]),
    "format": st.sampled_from(["uuid", "odd"]),
    "$ref": st.sampled_from(["#", "#/$defs/a", "#/nowhere", "http://x"]),
    **{
        name: st.integers(0, 9)
        for name in (
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minimum",
            "maximum",
            "exclusiveMinimum",
        )
    },
    "multipleOf": st.sampled_from([0, 1, 0.5, -2]),
}
SCHEMAS = st.recursive(
    st.booleans() | st.fixed_dictionaries({}, optional=KEYWORDS),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            **KEYWORDS,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "$defs": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": inner,
            "items": inner,
            **{
                name: st.lists(inner, min_size=1, max_size=2)
                for name in ("anyOf", "oneOf", "allOf", "prefixItems")
            },
        },
    ),
    max_leaves=6,
)


def build(schema: Any, seed: bytes = b"seed") -> Any:
    return Builder(schema, Dice(seed)).build()


class TestTokens:
    @settings(deadline=None)
    @given(st.text())
    def test_join_to_the_text_they_came_from(self, text: str) -> None:
        assert "".join(tokens.pieces(text)) == text
        assert tokens.count(text) == len(tokens.pieces(text))

    @pytest.mark.parametrize(
        ("text", "count"),
        [("", 0), ("Hi", 1), ("Hello world", 2), ("streaming", 2), ("1234", 2), ("日本", 2), ("  ", 1)],
    )
    def test_follow_the_documented_rule(self, text: str, count: int) -> None:
        assert tokens.count(text) == count

    def test_of_long_texts_are_scaled(self) -> None:
        long = "word " * 200_000
        assert abs(tokens.count(long) - 200_000) < 200


class TestProse:
    @settings(deadline=None)
    @given(st.binary(), st.integers(0, 300))
    def test_has_exactly_the_tokens_asked_for(self, seed: bytes, length: int) -> None:
        written = write(Dice(seed), length)
        assert len(written) == length == len(write(Dice(seed), length))

    def test_of_one_seed_is_always_the_same(self) -> None:
        assert write(Dice(b"a"), 50) == write(Dice(b"a"), 50) != write(Dice(b"b"), 50)


class TestSchema:
    @pytest.mark.parametrize(
        ("schema", "kind"),
        [
            ({"type": "string"}, str),
            ({"type": "integer"}, int),
            ({"type": "boolean"}, bool),
            ({"type": "null"}, type(None)),
            ({"type": ["string", "null"]}, str),
            ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, int),
            ({"properties": {"a": {}}}, dict),
            ({}, str),
            (True, str),
        ],
    )
    def test_gives_the_type_asked_for(self, schema: Any, kind: type) -> None:
        assert type(build(schema)) is kind

    @settings(deadline=None)
    @given(st.binary(), st.integers(-50, 50), st.integers(0, 50), st.integers(1, 7))
    def test_keeps_numbers_in_bounds(self, seed: bytes, low: int, width: int, step: int) -> None:
        value = build(
            {"type": "integer", "minimum": low, "maximum": low + width + step, "multipleOf": step}, seed
        )
        assert low <= value <= low + width + step
        assert value % step == 0

    @settings(deadline=None)
    @given(st.binary(), st.integers(-50, 50))
    def test_keeps_numbers_inside_exclusive_bounds(self, seed: bytes, low: int) -> None:
        for kind in ("integer", "number"):
            value = build({"type": kind, "exclusiveMinimum": low, "exclusiveMaximum": low + 2}, seed)
            assert low < value < low + 2

    @settings(deadline=None)
    @given(st.binary(), st.integers(0, 40), st.integers(0, 20))
    def test_keeps_lengths_of_strings_and_arrays(self, seed: bytes, least: int, more: int) -> None:
        text = build({"type": "string", "minLength": least, "maxLength": least + more}, seed)
        items = build({"type": "array", "items": {}, "minItems": least, "maxItems": least + more}, seed)
        assert least <= len(text) <= least + more
        assert least <= len(items) <= least + more

    @settings(deadline=None)
    @given(st.binary())
    def test_chooses_from_an_enum(self, seed: bytes) -> None:
        assert build({"enum": ["a", 2, None]}, seed) in ("a", 2, None)

    def test_keeps_items_unique(self) -> None:
        items = build({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "uniqueItems": True})
        assert sorted(items) == [False, True]

    def test_ends_recursion(self) -> None:
        value, depth = build(NODE), 0
        while value is not None:
            value, depth = value["next"], depth + 1
        assert 1 < depth <= DEPTH_MAX + 1

    def test_merges_all_of_and_keeps_const(self) -> None:
        parts = [
            {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
            {"properties": {"b": {"type": "array", "prefixItems": [{"const": "x"}], "items": False}}},
        ]
        assert build({"allOf": parts}) == {"a": 1, "b": ["x"]}

    def test_fills_free_maps(self) -> None:
        value = build({"type": "object", "additionalProperties": {"type": "integer"}})
        assert [type(one) for one in value.values()] == [int]

    @pytest.mark.parametrize(
        "pattern", [r"^\d{4}-\d{2}-\d{2}$", r"^[A-Z]{3}$", r"^\+?[0-9]{7,15}$", r"^#[0-9a-f]{6}$"]
    )
    def test_matches_everyday_patterns(self, pattern: str) -> None:
        assert re.search(pattern, build({"type": "string", "pattern": pattern}))

    @settings(deadline=None)
    @given(SCHEMAS)
    def test_gives_a_value_for_every_well_formed_schema(self, schema: Any) -> None:
        well_formed(schema, ())
        orjson.dumps(build(schema))

    def test_refuses_what_is_too_deep(self) -> None:
        deep: dict[str, Any] = {}
        for _ in range(500):
            deep = {"items": deep}
        with pytest.raises(Problem):
            well_formed(deep, ())

    def test_prefers_words_of_the_prompt(self) -> None:
        assert Builder({"type": "string"}, Dice(b""), ("Paris",)).build() == "Paris"

    def test_strict_mode_wants_closed_objects_all_the_way_down(self) -> None:
        closed: dict[str, Any] = {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        }
        inner = {**closed, "properties": {"x": {"type": "string"}}}
        assert strict_fault(closed) is None
        assert "'x'" in str(strict_fault(inner))
        for outer in ({"anyOf": [inner]}, {"items": inner}, {"$defs": {"d": inner}}):
            assert strict_fault(outer) is not None


class TestScripts:
    def test_read_flags_numbers_and_quoted_words(self) -> None:
        script = 'no_usage status=503 text="two words" tool=get_weather'
        assert read(script) == Faults(no_usage=True, status=503, text="two words", tool="get_weather")

    def test_may_be_joined_by_plus(self) -> None:
        name, script = in_model("gpt-4o+status=503+no_usage")
        assert name == "gpt-4o"
        assert read(script) == Faults(status=503, no_usage=True)

    @pytest.mark.parametrize(
        "script",
        [
            "nonsense",
            "status",
            "status=x",
            "status=600",
            "no_usage=1",
            "text",
            "rst rst=1",
            "=5",
            "a b",
            "x" * 5000,
        ],
    )
    def test_with_mistakes_are_refused(self, script: str) -> None:
        with pytest.raises(FaultScriptInvalid):
            read(script)

    def test_are_found_anywhere_in_a_text(self) -> None:
        assert read(in_text("a [[sim: rst]] b [[sim:delay_ms=5]]")) == Faults(rst=True, delay_ms=5)
        assert in_text("no script here [[ sim ]]") == ""

    def test_merge_with_the_later_winning(self) -> None:
        assert merged(Faults(status=500, rst=True), Faults(status=503)) == Faults(status=503, rst=True)
        assert merged(NONE, NONE) == NONE

    def test_every_word_is_explained(self) -> None:
        assert set(grammar()) == set(Faults.__slots__)


class TestPromptCache:
    def test_reads_the_longest_prefix_and_writes_the_rest(self) -> None:
        cache = PromptCache()
        first = (Segment(content=b"a", tokens=2000, ttl="1h"), Segment(content=b"b", tokens=100, ttl="5m"))
        second = (*first[:1], Segment(content=b"c", tokens=300, ttl="5m"), Segment(content=b"d", tokens=5))
        assert cache.explicit(b"key", first, 1024) == CacheUse(read=0, write_5m=100, write_1h=2000)
        assert cache.explicit(b"key", second, 1024) == CacheUse(read=2000, write_5m=300, write_1h=0)
        assert cache.explicit(b"key", first, 1024) == CacheUse(read=2100, write_5m=0, write_1h=0)
        assert cache.explicit(b"other", first, 1024).read == 0

    def test_automatic_never_reports_more_than_the_prompt(self) -> None:
        cache = PromptCache()
        prompt = b"x" * 10_000
        assert cache.automatic(b"key", prompt, 2500) == 0
        assert 1024 <= cache.automatic(b"key", prompt, 2500) <= 2500
        longer = prompt + b"y" * 10_000
        assert 1024 <= cache.automatic(b"key", longer, 5000) <= 2500


class TestStamps:
    def test_differ_from_call_to_call(self) -> None:
        stamps = {stamp_of(serial) for serial in range(1000)}
        assert len(stamps) == 1000
        assert {len(stamp) for stamp in stamps} == {len(STAMP_BYTES)}

    def test_keep_the_length_and_reach_every_mark(self) -> None:
        content = b"a" + STAMP_BYTES + b"b" + CREATED_BYTES + STAMP_BYTES
        done = stamped(content, stamp_of(1), 1_700_000_000)
        assert len(done) == len(content)
        assert done.count(stamp_of(1)) == 2
        assert b"1700000000" in done

    def test_prepared_bytes_equal_played_ones(self) -> None:
        events = tuple(b"data: " + STAMP_BYTES + CREATED_BYTES + b"%d\n\n" % number for number in range(10))
        reply = Reply(status=200, headers=(("x-request-id", STAMP_BYTES.decode()),), events=events)
        prepared = Prepared(reply, 4)
        for second in (1_700_000_000, 1_700_000_001):
            assert prepared.stamped(stamp_of(7), second) == stamped(wire(reply), stamp_of(7), second)
        assert prepared.cuts[-1] == len(prepared)
        assert len(prepared.cuts) == 3


class TestCatalogue:
    def test_every_model_belongs_to_a_family(self) -> None:
        assert all(
            model.output_max >= 4096 for model in (*OPENAI.models.values(), *ANTHROPIC.models.values())
        )

    def test_tells_reasoning_and_sampling_models_apart(self) -> None:
        assert OPENAI.models["gpt-5-mini"].reasoning
        assert not OPENAI.models["gpt-4o"].reasoning
        assert ANTHROPIC.models["claude-haiku-4-5"].sampling
        assert not ANTHROPIC.models["claude-opus-5-5"].sampling
