from ipaddress import ip_address

import pytest

from bursar.core.addresses import Networks, client_address, is_public

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


class TestIsPublic:
    @pytest.mark.parametrize(
        "address", ["8.8.8.8", "203.0.112.1", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450:4001::200e"]
    )
    def test_lets_the_internet_through(self, address: str) -> None:
        assert is_public(ip_address(address))

    @pytest.mark.parametrize(
        "address",
        [
            *("127.0.0.1", "127.8.8.8", "0.0.0.1", "10.0.0.1", "172.16.9.9", "192.168.1.1", "100.64.0.1"),
            *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"),
            *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.7", "198.18.0.1", "198.51.100.7"),
            *("::", "::1", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "100::1"),
            *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1"),
            *(
                "64:ff9b:1::a00:1",
                "2002:7f00:1::",
                "2002:a9fe:a9fe::1",
                "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            ),
        ],
    )
    def test_keeps_strangers_out_of_the_inside(self, address: str) -> None:
        assert not is_public(ip_address(address))
