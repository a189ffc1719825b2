"""Limits at the gateway: who is refused, what he is told, and that it costs him nothing."""

import asyncio
from typing import Any
from uuid import uuid4

import orjson
import pytest
from caller import Caller
from proving import (
    CHAT,
    Customer,
    SharedStack,
    as_nano,
    eventually,
    hold_of,
    input_estimate,
    new_customer,
    sale_of,
)

from bursar.core.addresses import Networks

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)
USED = "input_tokens=10 output_tokens=7"
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def limit(customer: Customer, **limits: Any) -> None:
    """Give his key these limits, and nothing else."""
    await customer.change(
        "UPDATE api_key SET limits = %s WHERE id = %s", [orjson.dumps(limits).decode(), customer.api_key_id]
    )


async def budget(
    customer: Customer, amount: int, unit: str = "money", period: str = "day", **of: Any
) -> None:
    """Give his organisation, or what `of` names, a budget."""
    columns = {"organisation_id": customer.organisation_id, **of}
    names = ", ".join(columns)
    await customer.change(
        f"INSERT INTO budget (id, name, unit, asset, amount, period, created_at, {names})"  # noqa: S608 - ours
        f" VALUES (%s, 'lunch', %s, %s, %s, %s, now(), {', '.join(['%s'] * len(columns))})",
        [uuid4(), unit, "USD" if unit == "money" else None, amount, period, *columns.values()],
    )


async def spent(customer: Customer) -> list[int]:
    """What the budgets of his organisation know was spent, once this process told them."""
    await customer.stack.quiet()
    await customer.gw.limiter.budgets.tend()
    rows = await customer.rows(
        "SELECT coalesce(sum(slice.spent), 0)::bigint AS spent FROM budget"
        " LEFT JOIN budget_slice AS slice ON slice.budget_id = budget.id"
        " WHERE budget.organisation_id = %s GROUP BY budget.id ORDER BY budget.id",
        [customer.organisation_id],
    )
    return [row["spent"] for row in rows]


async def assert_free(customer: Customer) -> None:
    """Nothing of him is counted as under way."""
    await customer.stack.quiet()
    assert customer.gw.limiter._lasting == {}
    assert customer.gw.limiter.counting._own._claims == {}
    assert all(one.lease.outstanding == 0 for one in customer.gw.limiter.budgets.slices())


class TestRequestsPerMinute:
    @streamed_or_not
    async def test_are_told_in_headers(self, shared_stack: SharedStack, *, stream: bool) -> None:
        async with new_customer(shared_stack, requests_per_min=60) as customer:
            replies = [await customer.chat("openai", stream=stream) for _ in range(2)]
        assert [reply.headers["x-ratelimit-limit-requests"] for reply in replies] == ["60", "60"]
        assert [reply.headers["x-ratelimit-remaining-requests"] for reply in replies] == ["59", "58"]
        assert replies[0].headers["x-ratelimit-reset-requests"].endswith("s")
        assert "x-ratelimit-limit-tokens" not in replies[0].headers

    async def test_are_told_in_headers_of_refusals_too(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, requests_per_min=1) as customer:
            await customer.chat("openai")
            refused = await customer.chat("openai")
        assert refused.status == 429
        assert refused.headers["x-ratelimit-limit-requests"] == "1"
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert 1 <= int(refused.headers["retry-after"]) <= 60

    async def test_may_come_in_smaller_bursts(self, customer: Customer) -> None:
        await limit(customer, requests_per_min=60, requests_burst=2)
        replies = [await customer.chat("openai") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].error["code"] == "rate_limit_exceeded"
        assert replies[2].error["scope"] == "key"
        assert replies[2].headers["retry-after"] == "1"
        assert replies[2].headers["x-ratelimit-remaining-requests"] == "0"
        assert len(await customer.usage()) == 2

    async def test_of_an_organisation_are_shared_by_its_keys(self, customer: Customer) -> None:
        await customer.change(
            "UPDATE organisation SET limits = '{\"requests_per_min\": 1}' WHERE id = %s",
            [customer.organisation_id],
        )
        replies = [await customer.chat("openai") for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 429]
        assert replies[1].error["scope"] == "organisation"

    async def test_of_a_model_leave_others_alone(self, customer: Customer) -> None:
        await limit(customer, models={"gpt-*": {"requests_per_min": 1}})
        kinds = ("openai", "openai", "anthropic")
        replies = [await customer.chat(kind) for kind in kinds]
        assert [reply.status for reply in replies] == [200, 429, 200]
        assert replies[1].error["scope"] == "model gpt-*"

    async def test_are_not_used_up_by_what_is_refused(self, customer: Customer) -> None:
        await limit(customer, requests_per_min=2, concurrent=1, tokens_per_min=1_000_000)
        await customer.change(
            "UPDATE organisation SET limits = '{\"tokens_per_min\": 1}' WHERE id = %s",
            [customer.organisation_id],
        )
        assert (await customer.chat("openai", max_tokens=5)).status == 200  # the bucket was empty
        for _ in range(3):
            refused = await customer.chat("openai", max_tokens=5)
            assert refused.error["code"] == "token_rate_limit_exceeded"
        checks = await customer.gw.limiter.counting.look(
            [rule.check for rule in customer.gw.snapshot.key(customer.key.encode()).limits.always.rules],
            customer.gw.clock.monotonic_ms(),
        )
        assert checks[0].remaining == 1
        await assert_free(customer)

    async def test_are_refused_in_every_language(self, customer: Customer) -> None:
        await limit(customer, requests_per_min=60, requests_burst=1)
        await customer.chat("openai")
        headers = {**customer.authorization, "accept-language": "ko"}
        refused = await customer.send(customer.payload("openai"), headers=headers)
        assert "분당 요청 한도 60회(key)" in refused.error["message"]


class TestTokensPerMinute:
    @streamed_or_not
    async def test_are_reserved_and_then_put_right(self, customer: Customer, *, stream: bool) -> None:
        await limit(customer, tokens_per_min=1_000)
        customer.fault("openai", USED)
        reply = await customer.chat("openai", SAID, max_tokens=500, stream=stream)
        assert reply.headers["x-ratelimit-limit-tokens"] == "1000"
        assert reply.headers["x-ratelimit-remaining-tokens"] == str(1_000 - ASKED - 500)
        await customer.stack.quiet()
        customer.fault("openai", USED)
        again = await customer.chat("openai", SAID, max_tokens=900, stream=stream)
        assert again.status == 200
        assert int(again.headers["x-ratelimit-remaining-tokens"]) >= 1_000 - 17 - ASKED - 900

    async def test_refuse_what_would_not_fit_now(self, customer: Customer) -> None:
        await limit(customer, tokens_per_min=1_000)
        customer.fault("openai", "input_tokens=600 output_tokens=300")
        assert (await customer.chat("openai", SAID, max_tokens=300)).status == 200
        refused = await customer.chat("openai", SAID, max_tokens=300)
        assert (refused.status, refused.error["code"]) == (429, "token_rate_limit_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 15
        assert len(await customer.usage()) == 1
        await assert_free(customer)


class TestRequestsAtOnce:
    async def start_one(self, customer: Customer, caller: Caller) -> None:
        customer.fault("openai", "silence_before_headers")
        before = len(customer.stack.simulator.log.exchanges)
        await customer.start(caller, "openai")
        await eventually(lambda: len(customer.stack.simulator.log.exchanges) > before)

    async def test_are_refused_beyond_the_limit(self, customer: Customer) -> None:
        await limit(customer, concurrent=1)
        async with customer.calling() as first:
            await self.start_one(customer, first)
            refused = await customer.chat("openai")
            assert (refused.status, refused.error["code"]) == (429, "concurrency_limit_exceeded")
            assert refused.headers["retry-after"] == "1"
            first.hang_up()
            await eventually(lambda: not customer.gw.limiter._lasting)
        assert (await customer.chat("openai")).status == 200
        await assert_free(customer)

    @streamed_or_not
    async def test_end_with_each_answer(self, customer: Customer, *, stream: bool) -> None:
        await limit(customer, concurrent=1)
        async with customer.calling() as caller:
            for _ in range(10):
                await customer.start(caller, "openai", stream=stream)
                assert (await caller.reply()).status == 200
        await assert_free(customer)

    @pytest.mark.parametrize(
        "script", ["status=500", "status=400", "status=429", "cut_body", "no_usage", "cut_after_events=1"]
    )
    async def test_end_with_every_failure(self, customer: Customer, script: str) -> None:
        await limit(customer, concurrent=1, tokens_per_min=10**6)
        stream = script == "cut_after_events=1"
        customer.fault("openai", script, count=None)
        await customer.chat("openai", stream=stream)
        customer.stack.simulator.reset()
        await assert_free(customer)

    async def test_end_when_the_request_is_refused_after_all(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, balance="0") as customer:
            await limit(customer, concurrent=1, tokens_per_min=10**6)
            for _ in range(3):
                assert (await customer.chat("openai")).error["code"] == "insufficient_balance"
            await assert_free(customer)

    async def test_end_when_an_answer_is_drained_for_nobody(self, customer: Customer) -> None:
        await customer.serve("openai", aborts_stop_billing=False)
        await limit(customer, concurrent=1)
        customer.fault("openai", f"{USED} delay_ms=20")
        async with customer.calling() as caller:
            await customer.start(caller, "openai", stream=True)
            await eventually(lambda: customer.gw.limiter._lasting)
            caller.hang_up()
        await assert_free(customer)


class TestABudget:
    @streamed_or_not
    async def test_counts_what_was_sold(self, customer: Customer, *, stream: bool) -> None:
        await budget(customer, 10**9)
        customer.fault("openai", USED)
        reply = await customer.chat("openai", SAID, max_tokens=50, stream=stream)
        assert reply.status == 200
        assert await spent(customer) == [sale_of(in_fresh=10, out_text=7)]
        await assert_free(customer)

    async def test_stops_what_it_does_not_cover(self, customer: Customer) -> None:
        await budget(customer, hold_of(ASKED, 50) - 1)
        refused = await customer.chat("openai", SAID, max_tokens=50)
        assert (refused.status, refused.error["code"]) == (429, "budget_exceeded")
        assert refused.headers["x-should-retry"] == "false"
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        assert as_nano(refused.error["left"]) == hold_of(ASKED, 50) - 1
        assert (refused.error["scope"], refused.error["period"]) == ("organisation", "day")
        assert await customer.usage() == []
        assert await spent(customer) == [0]
        await assert_free(customer)

    async def test_shortens_an_answer_whose_length_was_left_open(self, customer: Customer) -> None:
        await budget(customer, hold_of(ASKED, 50))
        reply = await customer.chat("openai", SAID)
        sent = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
        assert reply.status == 200
        assert sent.get("max_completion_tokens", sent.get("max_tokens")) == 50

    async def test_is_used_to_the_last_request(self, customer: Customer) -> None:
        await budget(customer, 3, "requests", api_key_id=customer.api_key_id)
        replies = [await customer.chat("openai") for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429]
        assert replies[3].error["code"] == "request_quota_exceeded"
        assert replies[3].error["scope"] == "key"

    async def test_of_tokens_counts_input_and_output(self, customer: Customer) -> None:
        await budget(customer, 1_000, "tokens", "month")
        customer.fault("openai", USED)
        assert (await customer.chat("openai", SAID, max_tokens=50)).status == 200
        assert await spent(customer) == [17]
        refused = await customer.chat("openai", SAID, max_tokens=990)
        assert refused.error["code"] == "token_quota_exceeded"
        assert refused.error["left"] == "983"

    async def test_of_a_model_within_a_key_counts_only_it(self, customer: Customer) -> None:
        await budget(customer, 1, "requests", api_key_id=customer.api_key_id, model="gpt-*")
        replies = [await customer.chat(kind) for kind in ("openai", "anthropic", "openai")]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].error["scope"] == "model gpt-*"

    async def test_goes_on_with_the_key_it_was_rotated_to(self, customer: Customer) -> None:
        await budget(customer, 2, "requests", api_key_id=customer.api_key_id)
        await customer.change(
            "INSERT INTO api_key (id, organisation_id, name, key_hash, key_prefix, created_at, limits,"
            " rotated_from)"
            " SELECT gen_random_uuid(), organisation_id, name, sha256('successor'), 'x', now(), limits, id"
            " FROM api_key WHERE id = %s",
            [customer.api_key_id],
        )
        statuses = []
        for key in (customer.key, "successor", customer.key, "successor"):
            headers = {**customer.authorization, "authorization": f"Bearer {key}"}
            statuses.append((await customer.send(customer.payload("openai"), headers=headers)).status)
        assert statuses == [200, 200, 429, 429]

    async def test_counts_no_request_that_a_poor_wallet_refused(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, balance="0") as customer:
            await budget(customer, 5, "requests")
            assert (await customer.chat("openai")).status == 402
            assert await spent(customer) == [0]
            await assert_free(customer)

    async def test_is_kept_by_many_at_once(self, customer: Customer) -> None:
        await budget(customer, 20 * sale_of(in_fresh=10, out_text=7))
        customer.fault("openai", USED, count=None)
        replies = await asyncio.gather(*[customer.chat("openai", SAID, max_tokens=7) for _ in range(40)])
        assert {reply.status for reply in replies} <= {200, 429}
        while (await customer.chat("openai", SAID, max_tokens=7)).status == 200:
            continue
        total = (await spent(customer))[0]
        most = 20 * sale_of(in_fresh=10, out_text=7)
        assert most - hold_of(ASKED, 7) < total <= most
        await assert_free(customer)


class TestWhoServes:
    async def credentials(self, customer: Customer, name: str) -> list[Any]:
        rows = await customer.rows(
            "SELECT credential.id, route.provider_id, provider.slug FROM provider_credential AS credential"
            " JOIN route ON route.provider_id = credential.provider_id"
            " JOIN provider ON provider.id = route.provider_id"
            " WHERE route.model_id = %s ORDER BY credential.priority",
            [name],
        )
        return list(rows)

    async def test_is_another_credential_when_one_is_at_its_limit(self, customer: Customer) -> None:
        name = await customer.serve("openai", credentials=2)
        first, second = await self.credentials(customer, name)
        for credential in (first, second):
            await customer.change(
                "UPDATE provider_credential SET limits = '{\"requests_per_min\": 1}' WHERE id = %s",
                [credential["id"]],
            )
        replies = [await customer.chat("openai") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].error["code"] == "rate_limit_exceeded"
        assert replies[2].error["scope"] == "credential"
        used = [row["credential_id"] for row in await customer.usage()]
        assert sorted(used) == sorted([first["id"], second["id"]])
        await assert_free(customer)

    async def test_is_another_provider_when_one_is_at_the_keys_limit(self, customer: Customer) -> None:
        name = await customer.serve("openai", "openai_compatible")
        slug = (
            await customer.rows(
                "SELECT slug FROM provider JOIN route ON provider_id = provider.id"
                " WHERE model_id = %s ORDER BY route.priority",
                [name],
            )
        )[0]["slug"]
        await limit(customer, providers={slug: {"requests_per_min": 1}})
        replies = [await customer.chat("openai") for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 200]
        assert len({row["provider_id"] for row in await customer.usage()}) == 2

    async def test_counts_only_what_it_was_asked(self, customer: Customer) -> None:
        name = await customer.serve("openai")
        (credential,) = await self.credentials(customer, name)
        await budget(customer, 2, "requests", organisation_id=None, credential_id=credential["id"])
        replies = [await customer.chat("openai") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].error["code"] == "request_quota_exceeded"
        await assert_free(customer)


class TestTheAddress:
    async def test_must_be_on_the_keys_list(self, customer: Customer) -> None:
        change = "UPDATE api_key SET allowed_addresses = %s WHERE id = %s"
        await customer.change(change, [["192.0.2.0/24", "2001:db8::/32"], customer.api_key_id])
        for path, method in ((CHAT, "POST"), ("/v1/models", "GET")):
            body = customer.payload("openai") if method == "POST" else b""
            refused = await customer.send(body, path=path, method=method)
            assert (refused.status, refused.error["code"]) == (403, "address_not_allowed")
        headers = {**customer.authorization, "x-forwarded-for": "192.0.2.7"}
        spoofed = await customer.send(customer.payload("openai"), headers=headers)
        assert spoofed.status == 403
        await customer.change(change, [["127.0.0.0/8"], customer.api_key_id])
        assert (await customer.chat("openai")).status == 200
        assert len(await customer.usage()) == 1

    async def test_is_told_by_a_trusted_proxy(self, customer: Customer) -> None:
        limiter = customer.gw.limiter
        trusted, limiter._trusted = limiter._trusted, Networks(["127.0.0.1"])
        try:
            change = "UPDATE api_key SET allowed_addresses = '{192.0.2.0/24}' WHERE id = %s"
            await customer.change(change, [customer.api_key_id])
            statuses = []
            for forwarded in ("192.0.2.7", "192.0.2.7, 198.51.100.1", "198.51.100.1, 192.0.2.7", "nonsense"):
                headers = {**customer.authorization, "x-forwarded-for": forwarded}
                statuses.append((await customer.send(customer.payload("openai"), headers=headers)).status)
            assert statuses == [200, 403, 200, 403]
        finally:
            limiter._trusted = trusted


class TestShownLimits:
    async def show(self, customer: Customer) -> dict[str, Any]:
        reply = await customer.send(b"", path="/v1/limits", method="GET")
        assert reply.status == 200
        shown: dict[str, Any] = reply.json()
        return shown

    async def test_of_a_plain_key_are_its_requests(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, requests_per_min=60) as customer:
            await customer.chat("openai")
            shown = await self.show(customer)
        (only,) = shown["data"]
        assert shown["counted_in"] == "gateway"
        assert (only["kind"], only["scope"], only["limit"], only["used"]) == (
            "requests_per_min",
            "key",
            "60",
            "2",
        )
        assert only["resets_at"].endswith("Z")

    async def test_tell_all_that_applies(self, customer: Customer) -> None:
        await limit(customer, tokens_per_min=1_000, concurrent=3, models={"gpt-*": {"requests_per_min": 5}})
        await budget(customer, 10**9, "money", "day")
        await budget(customer, 10, "requests", "once", api_key_id=customer.api_key_id)
        customer.fault("openai", USED)
        await customer.chat("openai", SAID, max_tokens=100)
        shown = {(one["scope"], one["kind"]): one for one in (await self.show(customer))["data"]}
        assert 0 < int(shown["key", "tokens_per_min"]["used"]) <= 17
        assert shown["key", "concurrent"]["used"] == "0"
        assert shown["model gpt-*", "requests_per_min"]["used"] == "1"
        assert as_nano(shown["organisation", "money_day"]["used"]) == sale_of(in_fresh=10, out_text=7)
        assert shown["organisation", "money_day"]["resets_at"].endswith("T00:00:00Z")
        assert (shown["key", "requests_once"]["used"], shown["key", "requests_once"]["resets_at"]) == (
            "1",
            None,
        )
