import socket

import pytest

from bursar.entrypoints import listening
from bursar.entrypoints.listening import PortTaken, address_of, listen, port_of


class TestListen:
    def test_takes_a_free_port_when_asked_for_none(self) -> None:
        with listen("127.0.0.1", 0) as taken:
            assert port_of(taken) > 0
            assert address_of(taken) == f"http://127.0.0.1:{port_of(taken)}"
            with socket.create_connection(("127.0.0.1", port_of(taken))):
                pass

    def test_suggests_another_port_that_is_free(self) -> None:
        with listen("127.0.0.1", 0) as taken:
            port = port_of(taken)
            with pytest.raises(
                PortTaken, match=rf"port {port} on 127.0.0.1 is in use; (\d+) is free"
            ) as refused:
                listen("127.0.0.1", port, suggestion="make demo PORT={}")
            suggested = int(str(refused.value).rsplit("=", 1)[1])
            with listen("127.0.0.1", suggested):
                pass

    def test_suggests_none_when_a_hundred_are_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listening, "PORTS_TRIED", 0)
        with listen("127.0.0.1", 0) as taken, pytest.raises(PortTaken, match=r"is in use$"):
            listen("127.0.0.1", port_of(taken))

    def test_says_when_the_address_is_not_ours(self) -> None:
        with pytest.raises(PortTaken, match=r"cannot listen on 192\.0\.2\.1"):
            listen("192.0.2.1", 0)

    def test_shows_an_address_that_a_browser_can_open(self) -> None:
        with listen("0.0.0.0", 0) as taken:  # noqa: S104 - the case in question
            assert address_of(taken).startswith("http://127.0.0.1:")
