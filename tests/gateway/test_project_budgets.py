"""A project's budget over several gateways without Redis: never above it, and all of it usable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
import psycopg

from bursar.core.money import parse_amount
from bursar.entrypoints.gateway import WiredGateway, build_gateway
from gateway_stack import MODELS, GatewayStack, free_folder, running_stack, settings_for
from scratch_database import ScratchDatabase

ALLOWED = 12
SECRETS = [f"llm_sk_{letter * 40}" for letter in "ab"]


def add_project(stack: GatewayStack, unit: str, amount: int) -> None:
    """With a budget for the day and two keys in it; the organisation's first key is in none."""
    organisation_id, team_id, project_id = stack.seed.organisation_id, uuid4(), uuid4()
    with psycopg.connect(stack.database.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO team (id, organisation_id, name, created_at) VALUES (%s, %s, 'T', now())",
            [team_id, organisation_id],
        )
        connection.execute(
            "INSERT INTO project (id, organisation_id, team_id, name, created_at)"
            " VALUES (%s, %s, %s, 'P', now())",
            [project_id, organisation_id, team_id],
        )
        for secret in SECRETS:
            connection.execute(
                "INSERT INTO api_key (id, organisation_id, project_id, name, key_hash, key_prefix,"
                " created_at, limits) VALUES (%s, %s, %s, 'test', sha256(%s), %s, now(), '{}')",
                [uuid4(), organisation_id, project_id, secret.encode(), secret[:13]],
            )
        connection.execute(
            "INSERT INTO budget (id, organisation_id, project_id, name, unit, asset, amount, period,"
            " created_at) VALUES (%s, %s, %s, 'all', %s, %s, %s, 'once', now())",
            [uuid4(), organisation_id, project_id, unit, "USD" if unit == "money" else None, amount],
        )


@asynccontextmanager
async def gateways(
    database: ScratchDatabase, folder: Path, unit: str, amount: int
) -> AsyncIterator[tuple[GatewayStack, list[httpx2.AsyncClient]]]:
    """Three of them, each with its own memory, spool and connections."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_stack(database, free_folder(folder)))
        add_project(first, unit, amount)
        running: list[WiredGateway] = []
        for _ in range(3):
            gateway = build_gateway(settings_for(free_folder(folder)), database.url)
            await gateway.startup()
            stack.push_async_callback(gateway.shutdown)
            running.append(gateway)
        yield (
            first,
            [
                await stack.enter_async_context(
                    httpx2.AsyncClient(transport=httpx2.ASGITransport(app=one), base_url="http://gateway/v1")
                )
                for one in running
            ],
        )


async def ask(client: httpx2.AsyncClient, secret: str) -> httpx2.Response:
    body = {"model": MODELS["openai"], "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
    headers = {"authorization": f"Bearer {secret}"}
    return await client.post("/chat/completions", json=body, headers=headers)


class TestAProjectsBudget:
    async def test_admits_as_many_requests_as_it_has(self, database: ScratchDatabase, tmp_path: Path) -> None:
        async with gateways(database, tmp_path, "requests", ALLOWED) as (stack, clients):
            asked = [(client, secret) for client in clients for secret in SECRETS for _ in range(5)]
            answers = await asyncio.gather(*[ask(*one) for one in asked])
            assert sorted(answer.status_code for answer in answers) == [200] * ALLOWED + [429] * 18
            refused = next(answer for answer in answers if answer.status_code == 429)
            assert refused.json()["error"]["code"] == "request_quota_exceeded"
            assert refused.json()["error"]["scope"] == "project"
            assert (await ask(clients[0], stack.key)).status_code == 200
        told = await stack.rows(
            "SELECT sum(spent)::int AS spent, sum(granted)::int AS kept FROM budget_slice"
        )
        assert told == [{"spent": ALLOWED, "kept": ALLOWED}]

    async def test_is_not_overspent_in_money(self, database: ScratchDatabase, tmp_path: Path) -> None:
        async with gateways(database, tmp_path, "money", parse_amount("0.001", "USD")) as (stack, clients):
            while True:
                answers = await asyncio.gather(*[ask(client, SECRETS[0]) for client in clients])
                if all(answer.status_code == 429 for answer in answers):
                    break
        (told,) = await stack.rows("SELECT sum(spent)::bigint AS spent FROM budget_slice")
        (sold,) = await stack.rows("SELECT sum(sale)::bigint AS sold FROM usage WHERE project_id IS NOT NULL")
        assert told["spent"] == sold["sold"] <= parse_amount("0.001", "USD")
        assert sold["sold"] > parse_amount("0.0005", "USD")
