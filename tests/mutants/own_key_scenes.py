"""Scenes of requests on an organisation's own credentials, and of where its requests may go."""

import asyncio
from typing import Any, Final
from uuid import uuid4

import psycopg
from callers import ask
from stack_scenes import STACK_SCENES, asked, stack_scene

from bursar.db.secrets import SecretBox
from gateway_stack import SECRET_KEY, SECRETS, GatewayStack

__all__ = ["STACK_SCENES"]  # with these among them

OWN_SECRET: Final = f"{SECRETS['openai']}-own"
FEE: Final = 18_000
"""Nano-USD: 5 % of 20 tokens at USD 2 and 40 at 8 a million."""
KNOWN_S_MAX: Final = 10


async def changed(stack: GatewayStack, query: str, parameters: list[Any]) -> None:
    """Change something, and wait until the gateway has heard of it."""
    assert stack.gateway.app is not None
    gw = stack.gateway.app.gw
    before = gw.snapshot
    async with await psycopg.AsyncConnection.connect(stack.database.url, autocommit=True) as connection:
        await connection.execute(query, parameters)  # type: ignore[arg-type]  # queries are literals of tests
    async with asyncio.timeout(KNOWN_S_MAX):
        while gw.snapshot is before:
            await asyncio.sleep(0.01)


async def bring(stack: GatewayStack, *, key: str = SECRET_KEY) -> None:
    """A credential of the customer's own at the provider of the OpenAI model; everybody's fee is 5 %."""
    await changed(
        stack,
        "WITH taken AS (UPDATE provider SET takes_own_keys = true),"
        " fee AS (INSERT INTO platform_fee (currency, percent, fixed, effective_from, created_at)"
        " VALUES ('USD', 5, 0, '2026-02-01Z', now()) ON CONFLICT DO NOTHING)"
        " INSERT INTO own_credential (id, organisation_id, provider_id, name, sealed, hint, created_at)"
        " VALUES (%s, %s, %s, 'own', %s, '…', now())",
        [
            uuid4(),
            stack.seed.organisation_id,
            stack.seed.provider_ids["openai"],
            SecretBox(bytes.fromhex(key)).seal(OWN_SECRET.encode()),
        ],
    )


def seen_upstream(stack: GatewayStack) -> set[str]:
    headers = [one.headers for one in stack.simulator.log.exchanges]
    return {one[b"authorization"].decode().removeprefix("Bearer ") for one in headers}


@stack_scene
async def a_request_on_an_own_credential_is_sold_for_the_fee(stack: GatewayStack) -> None:
    await bring(stack)
    assert (await asked(stack, ask(stream=False))).status == 200
    (row,) = await stack.usage()
    assert (row["sale"], row["cost"], row["flags"]) == (FEE, 0, ["own_key"])


@stack_scene
async def an_own_credential_is_not_helped_out_by_ours(stack: GatewayStack) -> None:
    await bring(stack)
    assert (await asked(stack, ask(stream=False, script="status=401"))).status == 424
    assert seen_upstream(stack) == {OWN_SECRET}


@stack_scene
async def a_credential_that_nobody_can_open_claims_its_provider(stack: GatewayStack) -> None:
    await bring(stack, key="00" * 32)
    assert (await asked(stack, ask(stream=False))).status == 503
    assert seen_upstream(stack) == set()


@stack_scene
async def nothing_outside_the_allowed_regions_is_asked(stack: GatewayStack) -> None:
    await changed(
        stack,
        "UPDATE organisation SET allowed_regions = '{eu}' WHERE id = %s",
        [stack.seed.organisation_id],
    )
    assert (await asked(stack, ask(stream=False))).status == 403
    assert seen_upstream(stack) == set()
