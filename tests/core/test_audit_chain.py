"""The chain's rules: whatever is done to sealed entries, the walk stops at the first one it was done to."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.audit_chain import START, Anchor, Entry, Part, Seal, Walk, content_of, mark_key, seal

KEY = mark_key(b"s" * 32)
OTHER_KEY = mark_key(b"t" * 32)
Chain = list[tuple[Entry, Seal]]


def part(text: str) -> Part:
    salt = b"0123456789abcdef"
    return Part(text=text, salt=salt, digest=hashlib.sha256(salt + text.encode()).digest())


def entry(number: int) -> Entry:
    return Entry(
        id=number * 3,
        at_us=1_800_000_000_000_000 + number,
        organisation_id=None,
        internal=False,
        person_id=None,
        actor_kind="cli",
        actor_id=None,
        db_role="bursar_operator",
        action="update",
        subject="organisation",
        subject_id=str(number),
        changes='{"before": {}, "after": {}}',
        actor=part('{"name": "ana@desk"}'),
        row=Part(),
    )


def chain_of(entries: Sequence[Entry], key: bytes = KEY) -> Chain:
    at, made = START, []
    for one in entries:
        sealed = seal(one, at, key)
        made.append((one, sealed))
        at = Anchor(sealed.seq, sealed.hash)
    return made


def fault_of(chain: Chain, anchors: dict[int, bytes] | None = None) -> tuple[int, str] | None:
    walk = Walk(KEY, anchors or {})
    for one, sealed in chain:
        if not walk.step(one, sealed):
            break
    fault = walk.end()
    return None if fault is None else (fault.seq, fault.why)


def changed(chain: Chain) -> Chain:
    return [*chain[:2], (replace(chain[2][0], changes='{"other": 1}'), chain[2][1]), *chain[3:]]


def removed(chain: Chain) -> Chain:
    return [*chain[:2], *chain[3:]]


def swapped(chain: Chain) -> Chain:
    (first, one), (second, other) = chain[2:4]
    return [*chain[:2], (second, one), (first, other), *chain[4:]]


def sealed_by_another(chain: Chain) -> Chain:
    """All hashes computed anew by somebody without the key."""
    altered = [one for one, _ in changed(chain)]
    return chain[:2] + chain_of(altered, OTHER_KEY)[2:]


def with_another_actor(chain: Chain) -> Chain:
    forged = replace(chain[2][0].actor, text='{"name": "bo@desk"}')
    return [*chain[:2], (replace(chain[2][0], actor=forged), chain[2][1]), *chain[3:]]


def forged_whole_part(chain: Chain) -> Chain:
    """Salt and digest fit the new text; only the hash knows better."""
    forged = replace(chain[2][0], actor=part('{"name": "bo@desk"}'))
    return [*chain[:2], (forged, chain[2][1]), *chain[3:]]


class TestWalk:
    def test_finds_nothing_wrong_with_an_untouched_chain(self) -> None:
        chain = chain_of([entry(number) for number in range(6)])
        assert fault_of(chain, {4: chain[3][1].hash}) is None
        assert fault_of([]) is None

    @pytest.mark.parametrize(
        ("attack", "says"),
        [
            (changed, "not what was sealed"),
            (removed, "missing"),
            (swapped, "not what was sealed"),
            (sealed_by_another, "key"),
            (with_another_actor, "personal part"),
            (forged_whole_part, "not what was sealed"),
        ],
    )
    def test_stops_at_the_first_broken_entry(self, attack: Callable[[Chain], Chain], says: str) -> None:
        fault = fault_of(attack(chain_of([entry(number) for number in range(6)])))
        assert fault is not None
        assert fault[0] == 3
        assert says in fault[1]

    def test_misses_a_tail_cut_off_unless_somebody_kept_an_anchor(self) -> None:
        chain = chain_of([entry(number) for number in range(6)])
        assert fault_of(chain[:4]) is None
        fault = fault_of(chain[:4], {6: chain[5][1].hash})
        assert fault is not None
        assert fault == (5, "the chain ends before an anchor")

    def test_sees_by_an_anchor_that_all_was_sealed_again(self) -> None:
        chain = chain_of([entry(number) for number in range(6)])
        again = chain_of([one for one, _ in changed(chain)])
        assert fault_of(again) is None
        assert fault_of(again, {5: chain[4][1].hash}) == (5, "an anchor of this place has another hash")

    def test_lets_personal_parts_go_only_when_the_log_tells_of_it(self) -> None:
        chain = chain_of([entry(number) for number in range(3)])
        one, sealed = chain[0]
        erased = replace(one, actor=Part(digest=one.actor.digest))
        walk = Walk(KEY)
        assert all(walk.step(*pair) for pair in [(erased, sealed), *chain[1:]])
        assert walk.end() is not None
        telling = Walk(KEY)
        assert telling.step(erased, sealed)
        assert telling.step(*chain[1], told=1)
        assert telling.end() is None


class TestContentOf:
    @given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
    def test_differs_wherever_two_entries_differ(self, one: str, two: str, three: str, four: str) -> None:
        first = replace(entry(1), subject=one, subject_id=two)
        second = replace(entry(1), subject=three, subject_id=four)
        assert (content_of(first) == content_of(second)) == ((one, two) == (three, four))
