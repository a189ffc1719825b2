"""What is personal becomes unreadable, and what only looks like it stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.masking import masked, masked_text


class TestMaskedText:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("ann@acme.example", "a***@a***.example"),
            ("mail Ann <ann.b+c@mail.acme.co.kr> now", "mail Ann <a***@m***.kr> now"),
            ("from 203.0.113.9.", "from 203.***."),
            ("203.0.113.0/24", "203.***"),
            ("2001:db8::1", "2001:***"),
            ("at [2001:db8::1]:443", "at [2001:***]:443"),
            ("::ffff:203.0.113.9", "::ffff:203.***"),
            ("2026-11-20T14:03:55.073000Z", "2026-11-20T14:03:55.073000Z"),
            ("12:30:45", "12:30:45"),
            ("10.00", "10.00"),
            ("version 1.2.3", "version 1.2.3"),
            ("urn:bursar:problem:not_found", "urn:bursar:problem:not_found"),
            ("01a1f945-5713-74b4-b59f-7793e8efcf83", "01a1f945-5713-74b4-b59f-7793e8efcf83"),
            ("https://acme.example/path", "https://acme.example/path"),
        ],
    )
    def test_hides_addresses_and_nothing_else(self, text: str, shown: str) -> None:
        assert masked_text(text) == shown

    @given(st.emails())
    def test_hides_every_address(self, email: str) -> None:
        assert email not in masked_text(f"to {email}, please")

    @given(st.ip_addresses())
    def test_hides_every_network_address(self, address: object) -> None:
        assert masked_text(f"from {address} today") != f"from {address} today"


class TestMasked:
    def test_knows_whose_name_is_a_persons(self) -> None:
        assert masked({"name": "Ann", "email": "ann@acme.example"}) == {
            "name": "A***",
            "email": "a***@a***.example",
        }
        assert masked({"name": "Acme", "billing_email": None}) == {"name": "Acme", "billing_email": None}
        assert masked([{"actor": {"name": "Ann", "address": None}}]) == [
            {"actor": {"name": "A***", "address": None}}
        ]
        entry = {"subject": "app_user", "before": {"name": "Ann"}, "after": {"name": "Anne"}}
        assert masked(entry) == {"subject": "app_user", "before": {"name": "A***"}, "after": {"name": "A***"}}
        assert masked({"subject": "project", "after": {"name": "Site"}})["after"] == {"name": "Site"}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(alphabet="abc -", max_size=9),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="xyz"), inner),
            max_leaves=9,
        )
    )
    def test_leaves_what_is_nobodys(self, value: object) -> None:
        assert masked(value) == value
