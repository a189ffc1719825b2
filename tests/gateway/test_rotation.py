"""A credential its provider refuses is out of rotation until touched; the operator is told, nobody pays."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from proving import KINDS, Customer

from bursar.gateway.health import Teller
from gateway_stack import SECRETS

pytestmark = pytest.mark.asyncio(loop_scope="module")

every_kind = pytest.mark.parametrize("kind", KINDS)
refused_for = pytest.mark.parametrize(
    ("script", "said"),
    [("billing", "billing"), ("status=402", "billing"), ("status=401", "auth")],
    ids=["empty_account", "402", "401"],
)


def refuse(customer: Customer, kind: str, script: str, number: int = 0, count: int | None = None) -> None:
    """Let the provider refuse one credential, by default for ever."""
    customer.stack.simulator.faults.add(script, count=count, key=f"{SECRETS[kind]}-{number}")


async def credentials_of(customer: Customer, model: str) -> list[UUID]:
    rows = await customer.rows(
        "SELECT provider_credential.id FROM provider_credential JOIN route USING (provider_id)"
        " WHERE model_id = %s ORDER BY provider_credential.priority",
        [model],
    )
    return [row["id"] for row in rows]


async def told(customer: Customer, credential_id: UUID) -> list[dict[str, Any]]:
    """What the operator was told of a credential, once the gateway told all it knows."""
    await Teller(customer.gw).tell_refusals()
    rows = await customer.rows("SELECT payload FROM outbox WHERE topic = 'credential.refused'")
    return [row["payload"] for row in rows if row["payload"]["credential_id"] == str(credential_id)]


async def refusal(customer: Customer, credential_id: UUID) -> dict[str, Any]:
    await Teller(customer.gw).tell_refusals()
    (row,) = await customer.rows("SELECT * FROM credential_refusal WHERE credential_id = %s", [credential_id])
    return row


@every_kind
@refused_for
class TestARefusedCredential:
    async def test_is_not_asked_again(self, customer: Customer, kind: str, script: str, said: str) -> None:
        model = await customer.serve(kind, credentials=2)
        refuse(customer, kind, script)
        for _ in range(3):
            assert (await customer.chat(kind)).status == 200
        first, second = await credentials_of(customer, model)
        assert [row["credential_id"] for row in await customer.usage()] == [first, second, second, second]
        assert any("credential.refused" in line and said in line for line in customer.logged)

    async def test_is_told_to_the_operator_once(
        self, customer: Customer, kind: str, script: str, said: str
    ) -> None:
        model = await customer.serve(kind, credentials=2)
        refuse(customer, kind, script)
        await customer.chat(kind)
        (credential_id, _) = await credentials_of(customer, model)
        (event,) = await told(customer, credential_id)
        assert event["kind"] == said
        assert (await refusal(customer, credential_id))["ended_at"] is None
        assert len(await told(customer, credential_id)) == 1

    async def test_never_becomes_the_callers_402(
        self, customer: Customer, kind: str, script: str, said: str
    ) -> None:
        await customer.serve(kind)
        refuse(customer, kind, script)
        asked = await customer.chat(kind)
        unasked = await customer.chat(kind)
        assert (asked.status, asked.error["code"]) == (502, "provider_error")
        assert (unasked.status, unasked.error["code"]) == (503, "provider_error")
        assert unasked.headers["retry-after"] == "30"
        (row,) = await customer.usage()
        assert (row["sale"], row["cost"], row["error_code"]) == (0, 0, "provider_error"), said


@every_kind
class TestComingBack:
    async def test_happens_when_it_is_touched(self, customer: Customer, kind: str) -> None:
        model = await customer.serve(kind, credentials=2)
        refuse(customer, kind, "billing", count=1)
        await customer.chat(kind)
        first, second = await credentials_of(customer, model)
        await customer.chat(kind)
        await customer.change("UPDATE provider_credential SET active = true WHERE id = %s", [first])
        await customer.chat(kind)
        assert [row["credential_id"] for row in await customer.usage()] == [first, second, second, first]
        assert (await refusal(customer, first))["ended_at"] is not None

    async def test_happens_after_a_probe_when_nothing_else_is_left(
        self, customer: Customer, kind: str
    ) -> None:
        routing = customer.gw.routing
        before = routing.limits
        routing.limits = replace(before, probe_ms=0)
        try:
            model = await customer.serve(kind)
            refuse(customer, kind, "status=401", count=2)
            statuses = [(await customer.chat(kind)).status for _ in range(3)]
        finally:
            routing.limits = before
        assert statuses == [502, 502, 200]
        (credential_id,) = await credentials_of(customer, model)
        assert (await refusal(customer, credential_id))["ended_at"] is not None

    async def test_happens_after_a_long_time(self, customer: Customer, kind: str) -> None:
        routing = customer.gw.routing
        before = routing.limits
        routing.limits = replace(before, out_ms=0)
        try:
            await customer.serve(kind)
            refuse(customer, kind, "status=401", count=1)
            assert [(await customer.chat(kind)).status for _ in range(2)] == [502, 200]
        finally:
            routing.limits = before


@every_kind
class TestA403:
    async def test_only_cools_the_credential_down(self, customer: Customer, kind: str) -> None:
        """It may be about one model; with nothing else to ask, it is asked again."""
        await customer.serve(kind)
        refuse(customer, kind, "status=403", count=1)
        assert [(await customer.chat(kind)).status for _ in range(2)] == [502, 200]


class TestHealth:
    async def test_is_told_to_the_books(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")
        customer.fault("openai", "status=429 retry_after=60")
        await customer.chat("openai")
        await Teller(customer.gw).report()
        rows = await customer.rows("SELECT * FROM provider_health WHERE model = %s", [model])
        by_calls = sorted(rows, key=lambda row: row["calls"])
        limited, well = by_calls
        assert (limited["calls"], limited["breaker"]) == (0, "closed")
        assert limited["cooling_until"] > limited["reported_at"]
        assert (well["calls"], well["failures"], well["cooling_until"]) == (1, 0, None)
        assert well["latency_ms"] is not None

    async def test_is_told_anew_each_time(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        for _ in range(2):
            await customer.chat("openai")
            await Teller(customer.gw).report()
        (row,) = await customer.rows("SELECT calls FROM provider_health WHERE model = %s", [model])
        assert row["calls"] == 2
