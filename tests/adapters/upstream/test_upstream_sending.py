"""Whoever opens an answer learns when the request leaves: from then on a provider may bill it."""

import pytest
from raw_server import Peer, serving
from upstream_client import PATIENT, Client

from bursar.adapters.upstream import UpstreamError


class TestSending:
    async def test_is_told_before_the_provider_has_the_request(self, client: Client) -> None:
        told: list[str] = []

        async def script(peer: Peer) -> None:
            await peer.request()
            told.append("received")
            await peer.answer()

        async with serving(script) as server:
            answer = await client.upstream.open(
                server.url, {}, b"{}", PATIENT, on_send=lambda: told.append("sent")
            )
            assert await answer.read(100) == b"ok"
        assert told == ["sent", "received"]

    async def test_is_not_told_when_nobody_listens(self, client: Client) -> None:
        told: list[str] = []
        async with serving(Peer.answer_one) as server:
            url = server.url
        with pytest.raises(UpstreamError) as raised:
            await client.upstream.open(url, {}, b"{}", PATIENT, on_send=lambda: told.append("sent"))
        assert not raised.value.sent
        assert told == []
