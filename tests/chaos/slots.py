"""Gateways of which one always falls."""

import asyncio
import signal

from world import World


class Slots:
    """Gateways that are replaced as soon as they are killed, by one that shares their spool folder."""

    def __init__(self, world: World, gateways: int) -> None:
        self._world = world
        self._gateways = [world.start_gateway() for _ in range(gateways)]
        self._addresses: dict[int, str] = {}
        self._opening = [asyncio.create_task(self._open(slot)) for slot in range(gateways)]

    def urls(self) -> list[str]:
        return list(self._addresses.values())

    async def all_open(self) -> None:
        await asyncio.gather(*self._opening)

    async def replace(self, slot: int) -> None:
        """Kill the slot's gateway, wherever it is in its life."""
        self._opening[slot].cancel()
        await asyncio.gather(self._opening[slot], return_exceptions=True)
        self._gateways[slot].kill()
        self._follow(slot)

    async def renew(self, slot: int) -> None:
        """Tell the slot's gateway to stop, and wait until it has finished what it was at."""
        await self._opening[slot]
        await asyncio.to_thread(self._gateways[slot].stop)
        self._follow(slot)

    def _follow(self, slot: int) -> None:
        self._addresses.pop(slot, None)
        self._gateways[slot] = self._world.start_gateway()
        self._opening[slot] = asyncio.create_task(self._open(slot))

    def send(self, slot: int, what: signal.Signals) -> None:
        self._gateways[slot].send(what)

    async def stop(self) -> None:
        await self.all_open()
        for gateway in self._gateways:
            await gateway.until_back()
            await asyncio.to_thread(gateway.stop)

    async def _open(self, slot: int) -> None:
        self._addresses[slot] = await self._gateways[slot].address()
