"""Reads `/metrics` as a neighbour does."""

from caller import Caller, Reply, request
from proving import Customer


async def metrics(customer: Customer, **headers: str) -> Reply:
    async with customer.calling() as caller:
        return await ask(caller, **headers)


async def ask(caller: Caller, **headers: str) -> Reply:
    caller.write(request("GET", "/metrics", b"", headers))
    return await caller.reply()


async def readings(customer: Customer) -> dict[str, str]:
    reply = await metrics(customer)
    assert reply.status == 200
    lines = reply.body.decode().splitlines()
    return dict(line.split(" ") for line in lines if not line.startswith("#"))
