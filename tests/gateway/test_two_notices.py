"""A hang-up that is noticed twice in one moment is still one hang-up, not a cancellation of the request."""

import asyncio

import pytest

from bursar.gateway.inbound import HungUp, Inbound


async def test_of_a_hang_up_end_the_wait_once() -> None:
    async def serve() -> None:
        async def nothing(*_: object) -> None:
            await asyncio.Event().wait()

        inbound = Inbound({"headers": []}, nothing, nothing)  # type: ignore[arg-type]  # never says anything
        for _ in range(2):
            asyncio.get_running_loop().call_soon(inbound.bark)
        with pytest.raises(HungUp):
            await inbound.until_hangup(asyncio.sleep(10))

    await asyncio.create_task(serve())
