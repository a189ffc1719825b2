"""How the gateway's own client keeps its connections; what both clients promise is tested beside."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from raw_server import Peer, serving
from upstream_client import Client

from bursar.adapters.upstream import pool
from bursar.adapters.upstream.direct import DirectUpstream
from bursar.adapters.upstream.pool import Host, Pool

HOST = Host("provider.test", 443, is_tls=True)


async def answering_all(peer: Peer) -> None:
    while await peer.request():
        await peer.answer()


@pytest.fixture
async def single() -> AsyncIterator[Client]:
    """A client with one place."""
    client = Client(DirectUpstream(connections_max=1))
    yield client
    await client.close()


@pytest.fixture
async def direct() -> AsyncIterator[Client]:
    client = Client(DirectUpstream())
    yield client
    await client.close()


class TestIdleConnections:
    async def test_too_old_to_trust_are_closed_not_used(
        self, direct: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "KEEP_ALIVE_S", 0.05)
        async with serving(answering_all) as server:
            await direct.ask(server)
            await asyncio.sleep(0.1)
            await direct.ask(server)
            assert len(server.peers) == 2
            await server.gone(0)

    async def test_that_stay_unused_are_closed_while_others_serve(
        self, direct: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "KEEP_ALIVE_S", 0.1)
        async with serving(answering_all) as server:
            await asyncio.gather(direct.ask(server), direct.ask(server))
            for _ in range(5):
                await direct.ask(server)
                await asyncio.sleep(0.04)
            assert [peer.number for peer in server.peers if peer.gone_at is None] != [0, 1]
            assert len(server.peers) == 2

    async def test_are_kept_up_to_a_number_per_host(
        self, direct: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "IDLE_PER_HOST_MAX", 2)
        async with serving(answering_all) as server:
            await asyncio.gather(*(direct.ask(server) for _ in range(5)))
            await asyncio.sleep(0.05)
            assert len([peer for peer in server.peers if peer.gone_at is None]) == 2


class TestWaiting:
    async def test_one_who_leaves_as_he_is_given_a_connection_leaves_it_to_others(
        self, single: Client
    ) -> None:
        async with serving(answering_all) as server:
            answer = await single.open(server)
            waiting = asyncio.create_task(single.ask(server))
            await asyncio.sleep(0)
            assert await answer.read(100) == b"ok"
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await single.ask(server) == b"ok"
            assert [len(peer.requests) for peer in server.peers] == [2]

    async def test_one_who_leaves_as_he_is_given_a_place_leaves_it_to_others(self) -> None:
        places = Pool(1)
        assert await places.place(HOST) is None
        connection = places.new()
        waiting = asyncio.create_task(places.place(HOST))
        await asyncio.sleep(0)
        places.discard(connection)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(1):
            assert await places.place(HOST) is None

    async def test_those_who_left_are_passed_over(self, single: Client) -> None:
        async with serving(answering_all) as server:
            answer = await single.open(server)
            waiting = [asyncio.create_task(single.ask(server)) for _ in range(3)]
            await asyncio.sleep(0)
            for task in waiting[:2]:
                task.cancel()
            await answer.read(100)
            assert await waiting[2] == b"ok"
            assert len(server.peers) == 1

    async def test_one_for_another_host_gets_the_place_of_a_connection_that_comes_free(
        self, single: Client
    ) -> None:
        async with serving(answering_all) as first, serving(answering_all) as second:
            answer = await single.open(first)
            waiting = asyncio.create_task(single.ask(second))
            await asyncio.sleep(0)
            await answer.read(100)
            assert await waiting == b"ok"
            await first.gone()

    async def test_a_dead_idle_connection_makes_no_room_but_a_living_one_does(self) -> None:
        client = Client(DirectUpstream(connections_max=2))
        async with (
            serving(Peer.answer_one) as dying,
            serving(answering_all) as living,
            serving(answering_all) as third,
            serving(answering_all) as fourth,
        ):
            await client.ask(dying)
            await client.ask(living)
            await asyncio.sleep(0.05)
            held = await client.open(third)
            assert await client.ask(fourth) == b"ok"
            assert held.status == 200
        await client.close()
