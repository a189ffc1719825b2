"""Scenes of requests within limits and budgets."""

import json
from typing import Any
from uuid import UUID, uuid4

from callers import SALE, Seen, ask
from own_key_scenes import changed
from picture_scenes import STACK_SCENES
from stack_scenes import asked, stack_scene

from gateway_stack import GatewayStack

__all__ = ["STACK_SCENES"]  # with these among them


async def limit(stack: GatewayStack, **limits: Any) -> None:
    await changed(
        stack, "UPDATE api_key SET limits = %s WHERE id = %s", [json.dumps(limits), stack.seed.api_key_id]
    )


async def budget(stack: GatewayStack, amount: int, unit: str, **of: Any) -> None:
    columns = {"api_key_id": stack.seed.api_key_id, "project_id": None, **of}
    await changed(
        stack,
        "INSERT INTO budget (id, organisation_id, api_key_id, project_id, unit, asset, amount, name, period,"
        " created_at) VALUES (gen_random_uuid(), %s, %s, %s, %s, %s, %s, 'test', 'once', now())",
        [
            stack.seed.organisation_id,
            columns["api_key_id"],
            columns["project_id"],
            unit,
            "USD" if unit == "money" else None,
            amount,
        ],
    )


def code(seen: Seen) -> str:
    return "ok" if seen.is_complete else str(json.loads(seen.body)["error"]["code"])


async def spent(stack: GatewayStack) -> int:
    await stack.quiet()
    assert stack.gateway.app is not None
    limiter = stack.gateway.app.gw.limiter
    assert all(one.lease.outstanding == 0 for one in limiter.budgets.slices())
    await limiter.budgets.tend()
    (row,) = await stack.rows("SELECT coalesce(sum(spent), 0)::bigint AS spent FROM budget_slice")
    return int(row["spent"])


@stack_scene
async def a_budget_counts_what_was_sold(stack: GatewayStack) -> None:
    await budget(stack, 10**9, "money")
    for stream in (False, True):
        assert (await asked(stack, ask(stream=stream))).is_complete
    assert await spent(stack) == 2 * SALE


@stack_scene
async def a_budget_stops_at_its_end(stack: GatewayStack) -> None:
    await budget(stack, 2, "requests")
    assert [code(await asked(stack, ask(stream=False))) for _ in range(3)] == [
        "ok",
        "ok",
        "request_quota_exceeded",
    ]
    assert await spent(stack) == 2


@stack_scene
async def what_one_budget_refuses_is_taken_from_none(stack: GatewayStack) -> None:
    await budget(stack, 10**12, "money")
    await budget(stack, 1, "requests")
    assert (await asked(stack, ask(stream=False))).is_complete
    for _ in range(3):
        assert code(await asked(stack, ask(stream=False))) == "request_quota_exceeded"
    assert await spent(stack) == SALE + 1


@stack_scene
async def a_refused_request_holds_no_place(stack: GatewayStack) -> None:
    await limit(stack, concurrent=1)
    await budget(stack, 1, "money")
    for _ in range(3):
        assert code(await asked(stack, ask(stream=False))) == "budget_exceeded"
    assert await spent(stack) == 0


@stack_scene
async def a_finished_request_makes_room(stack: GatewayStack) -> None:
    await limit(stack, concurrent=1)
    for stream in (False, True, False):
        assert (await asked(stack, ask(stream=stream))).is_complete


@stack_scene
async def reserved_tokens_come_back(stack: GatewayStack) -> None:
    await limit(stack, tokens_per_min=1, tokens_burst=600)
    for _ in range(5):  # 60 each; 300 of output are reserved
        assert (await asked(stack, ask(stream=False, max_tokens=300))).is_complete
    assert code(await asked(stack, ask(stream=False, max_tokens=300))) == "token_rate_limit_exceeded"


@stack_scene
async def a_limit_of_a_model_is_not_one_of_another(stack: GatewayStack) -> None:
    await limit(stack, models={"claude-*": {"requests_per_min": 1}})
    for _ in range(2):
        assert (await asked(stack, ask(stream=False))).is_complete


async def add_project(stack: GatewayStack) -> UUID:
    """In a team of its own."""
    ids = [uuid4(), stack.seed.organisation_id, uuid4()]
    team = "INSERT INTO team (id, organisation_id, name, created_at) VALUES (%s, %s, %s, now())"
    await changed(stack, team, [ids[2], ids[1], ids[2].hex])
    project = (
        "INSERT INTO project (id, organisation_id, team_id, name, created_at) VALUES (%s, %s, %s, %s, now())"
    )
    await changed(stack, project, [*ids, ids[0].hex])
    return ids[0]


@stack_scene
async def a_budget_of_a_project_stops_its_keys_alone(stack: GatewayStack) -> None:
    here, elsewhere = await add_project(stack), await add_project(stack)
    await changed(stack, "UPDATE api_key SET project_id = %s WHERE id = %s", [here, stack.seed.api_key_id])
    for project_id in (here, elsewhere):
        amount = 2 if project_id == here else 0
        await budget(stack, amount, "requests", api_key_id=None, project_id=project_id)
    assert [code(await asked(stack, ask(stream=False))) for _ in range(3)] == [
        "ok",
        "ok",
        "request_quota_exceeded",
    ]
    assert await spent(stack) == 2
