from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.ids import RAND_BITS, UNIX_MS_MAX, IdNotTimed, uuid7, uuid7_time_ms

moments = st.integers(0, UNIX_MS_MAX)
randomness = st.integers(0, 2**RAND_BITS - 1)


class TestRequestIds:
    @given(moments, randomness)
    def test_carry_their_own_time(self, unix_ms: int, rand_bits: int) -> None:
        assert uuid7_time_ms(uuid7(unix_ms, rand_bits)) == unix_ms

    @given(moments, randomness)
    def test_are_version_7_of_the_rfc_variant(self, unix_ms: int, rand_bits: int) -> None:
        request_id = uuid7(unix_ms, rand_bits)
        assert request_id.version == 7
        assert request_id.variant == "specified in RFC 4122"

    @given(moments, randomness, randomness)
    def test_keep_every_random_bit(self, unix_ms: int, one: int, other: int) -> None:
        assert (uuid7(unix_ms, one) == uuid7(unix_ms, other)) == (one == other)

    @given(st.lists(moments, min_size=2, max_size=2, unique=True), randomness, randomness)
    def test_sort_by_time(self, pair: list[int], one: int, other: int) -> None:
        earlier, later = sorted(pair)
        assert str(uuid7(earlier, one)) < str(uuid7(later, other))

    def test_match_the_example_of_the_rfc(self) -> None:
        # RFC 9562, appendix A.6
        rand_bits = (0xCC3 << 62) | 0x18C4DC0C0C07398F
        assert uuid7(0x017F22E279B0, rand_bits) == UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")

    @given(moments, randomness)
    def test_ignore_bits_that_do_not_fit(self, unix_ms: int, rand_bits: int) -> None:
        assert uuid7(unix_ms, rand_bits | (1 << RAND_BITS)) == uuid7(unix_ms, rand_bits)

    @pytest.mark.parametrize("unix_ms", [-1, UNIX_MS_MAX + 1])
    def test_refuse_a_time_that_does_not_fit(self, unix_ms: int) -> None:
        with pytest.raises(IdNotTimed, match="does not fit"):
            uuid7(unix_ms, 0)

    def test_of_another_version_have_no_time(self) -> None:
        with pytest.raises(IdNotTimed, match="not a UUIDv7"):
            uuid7_time_ms(uuid4())
