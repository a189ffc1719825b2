"""Sealing of provider credentials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.db.secrets import SealBroken, SecretBox

KEY = bytes(range(32))
BOX = SecretBox(KEY)


class TestSecretBox:
    @given(st.binary())
    def test_opens_what_it_sealed(self, secret: bytes) -> None:
        assert BOX.open(BOX.seal(secret)) == secret

    def test_never_seals_the_same_way_twice(self) -> None:
        assert BOX.seal(b"sk-1") != BOX.seal(b"sk-1")

    def test_does_not_show_the_secret(self) -> None:
        assert b"sk-secret" not in BOX.seal(b"sk-secret")

    @given(st.integers(0), st.integers(1, 255))
    def test_notices_any_changed_byte(self, position: int, change: int) -> None:
        sealed = bytearray(BOX.seal(b"sk-secret"))
        sealed[position % len(sealed)] ^= change
        with pytest.raises(SealBroken):
            BOX.open(bytes(sealed))

    @pytest.mark.parametrize("length", [0, 1, 12, 20])
    def test_notices_a_missing_end(self, length: int) -> None:
        with pytest.raises(SealBroken):
            BOX.open(BOX.seal(b"sk-secret")[:length])

    def test_opens_nothing_of_another_key(self) -> None:
        with pytest.raises(SealBroken):
            SecretBox(bytes(32)).open(BOX.seal(b"sk-secret"))

    def test_wants_a_whole_key(self) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            SecretBox(b"short")
