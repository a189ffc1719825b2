from ipaddress import ip_address

import pytest

from bursar.core.addresses import Networks, client_address

PROXIES = Networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


def seen(peer: str | None, *forwarded: str) -> str | None:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    address = client_address(peer, [(b"host", b"x"), *headers], PROXIES)
    return None if address is None else str(address)


class TestClientAddress:
    @pytest.mark.parametrize(
        ("peer", "forwarded", "expected"),
        [
            ("203.0.113.9", (), "203.0.113.9"),
            ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
            ("10.1.2.3", ("198.51.100.1",), "198.51.100.1"),
            ("10.1.2.3", ("6.6.6.6, 198.51.100.1",), "198.51.100.1"),
            ("10.1.2.3", ("6.6.6.6", "198.51.100.1"), "198.51.100.1"),
            ("10.1.2.3", ("198.51.100.1, 10.9.9.9, 127.0.0.1",), "198.51.100.1"),
            ("10.1.2.3", ("10.9.9.9",), "10.9.9.9"),
            ("10.1.2.3", (), "10.1.2.3"),
            ("fd00::1", ("2001:db8::7",), "2001:db8::7"),
            ("::ffff:10.1.2.3", ("::ffff:198.51.100.1",), "198.51.100.1"),
            ("10.1.2.3", ("198.51.100.1:4711",), "198.51.100.1"),
            ("10.1.2.3", ("[2001:db8::7]:4711",), "2001:db8::7"),
            ("10.1.2.3", ("unknown",), None),
            ("10.1.2.3", ("198.51.100.1, nonsense",), None),
            (None, ("198.51.100.1",), None),
            ("", (), None),
        ],
    )
    def test_is_what_the_last_untrusted_hop_is(
        self, peer: str | None, forwarded: tuple[str, ...], expected: str | None
    ) -> None:
        assert seen(peer, *forwarded) == expected

    def test_reads_no_more_than_the_end_of_an_endless_list(self) -> None:
        assert seen("10.1.2.3", "198.51.100.1, " + ", ".join(["10.0.0.1"] * 100)) == "10.0.0.1"


class TestNetworks:
    def test_hold_both_versions(self) -> None:
        networks = Networks(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])
        inside = ("192.0.2.255", "2001:db8:ffff::1", "198.51.100.7")
        assert all(ip_address(one) in networks for one in inside)
        outside = ("192.0.3.0", "2001:db9::1", "198.51.100.8", "::ffff:192.0.2.1")
        assert not any(ip_address(one) in networks for one in outside)

    @pytest.mark.parametrize("wrong", ["192.0.2.1/24", "300.1.1.1", "example.org", "", "10.0.0.0/33"])
    def test_refuse_what_is_none(self, wrong: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            Networks([wrong])
