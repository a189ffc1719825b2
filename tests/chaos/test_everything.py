"""Everything that can fall falls, in any order, under load."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from callers import crowd
from servers import Server
from slots import Slots
from world import World

SEEDS: Final = 2 * int(os.environ.get("BURSAR_TEST_SOAK", "1"))
BLOWS: Final = 14
GATEWAYS: Final = 3
CALLERS: Final = 8
LEAVING: Final = 0.1


class Wrecker:
    """One kind of blow after the other; each leaves things so that they can go on."""

    def __init__(self, world: World, server: Server, slots: Slots, dice: random.Random) -> None:
        self._world = world
        self._server = server
        self._slots = slots
        self._dice = dice
        self.worker = world.start("worker")

    def blows(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.kill_a_gateway,
            self.kill_a_gateway,
            self.kill_postgres,
            self.kill_the_worker,
            self.stop_postgres,
            self.stop_postgres_and_kill_a_gateway,
            self.let_a_gateway_stand_still,
        ]

    def slot(self) -> int:
        return self._dice.randrange(GATEWAYS)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(self._dice.uniform(0, seconds))

    async def kill_a_gateway(self) -> None:
        await self._slots.replace(self.slot())

    async def kill_postgres(self) -> None:
        await asyncio.to_thread(self._server.kill)
        await self.pause(0.5)
        await asyncio.to_thread(self._server.start)

    async def kill_the_worker(self) -> None:
        self.worker.kill()
        self.worker = self._world.start("worker")

    async def stop_postgres(self) -> None:
        await asyncio.to_thread(self._server.stop)
        await self.pause(1)
        await asyncio.to_thread(self._server.start)

    async def stop_postgres_and_kill_a_gateway(self) -> None:
        await asyncio.to_thread(self._server.stop)
        await self.pause(1)
        await self._slots.replace(self.slot())
        await self.pause(0.5)
        await asyncio.to_thread(self._server.start)

    async def let_a_gateway_stand_still(self) -> None:
        slot = self.slot()
        self._slots.send(slot, signal.SIGSTOP)
        await self.pause(4)
        self._slots.send(slot, signal.SIGCONT)


class TestWhateverFalls:
    @pytest.mark.parametrize("seed", range(SEEDS))
    async def test_the_books_stay_right(self, server: Server, away: World, seed: int) -> None:
        dice = random.Random(seed)
        slots = Slots(away, GATEWAYS)
        wrecker = Wrecker(away, server, slots, dice)
        blows = wrecker.blows() * -(-BLOWS // len(wrecker.blows()))
        dice.shuffle(blows)
        await slots.all_open()
        async with crowd(slots.urls, dice, callers=CALLERS, leaving=LEAVING) as people:
            for blow in blows:
                await asyncio.sleep(dice.uniform(0, 0.3))
                await blow()
            await slots.all_open()
            await asyncio.sleep(0.2)
        await slots.stop()
        await away.settled()
        wrecker.worker.stop()
        await away.assert_books_are_right(people.seen)
        assert len(people.complete()) > BLOWS
