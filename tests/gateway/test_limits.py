"""What the gateway refuses, and what it makes of too little money: nothing is sent, nothing is charged."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest
from caller import WAIT_S
from proving import (
    CHAT,
    KINDS,
    Customer,
    SharedStack,
    as_nano,
    cost_of,
    eventually,
    hold_of,
    input_estimate,
    new_customer,
    sale_of,
    tokens_of_letters,
)
from raw_provider import LAST_CHUNK, OK_STREAM, Visit, chunked, ending, opening, raw_provider, words

from bursar.gateway.snapshot import OUTPUT_TOKENS_UNKNOWN

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def assert_untouched(customer: Customer) -> None:
    """Nothing was sent, booked, held or promised."""
    assert await customer.usage() == []
    assert list(customer.stack.simulator.log.exchanges) == []
    assert (await customer.wallet())["posted"] == customer.balance
    assert all(account.lease.outstanding == 0 for account in customer.accounts())


class TestTheKey:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": "Bearer "},
            {"authorization": "Bearer llm_sk_wrong"},
            {"authorization": "Basic {key}"},
            {"authorization": "{key}"},
            {"x-api-key": "wrong"},
            {"authorization": "Bearer wrong", "x-api-key": "{key}"},
            {"authorization": "Bearer {key}x"},
            {"authorization": "Bearer \xff\xfe"},
        ],
    )
    async def test_is_asked_for(self, customer: Customer, headers: dict[str, str]) -> None:
        given = {name: value.replace("{key}", customer.key) for name, value in headers.items()}
        reply = await customer.send(customer.payload("openai"), headers=given)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
        assert reply.error["type"] == "authentication_error"
        assert reply.headers["x-request-id"]
        await assert_untouched(customer)

    @pytest.mark.parametrize(
        "headers",
        [{"authorization": "bearer {key}"}, {"X-API-Key": "{key}"}, {"authorization": "BEARER  {key} "}],
    )
    async def test_is_taken_from_either_header(self, customer: Customer, headers: dict[str, str]) -> None:
        given = {name: value.replace("{key}", customer.key) for name, value in headers.items()}
        reply = await customer.send(customer.payload("openai"), headers=given)
        assert reply.status == 200

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE api_key SET expires_at = now() - interval '1 second' WHERE id = %s",
            "UPDATE api_key SET revoked_at = now() - interval '1 second' WHERE id = %s",
        ],
    )
    async def test_must_still_be_good(self, customer: Customer, change: str) -> None:
        await customer.change(change, [customer.api_key_id])
        reply = await customer.chat("openai")
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
        await assert_untouched(customer)

    async def test_may_only_ask_so_often(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, requests_per_min=2) as customer:
            replies = [await customer.chat("openai") for _ in range(3)]
            listing = await customer.send(b"", path="/v1/models", method="GET")
            assert len(await customer.usage()) == 2
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].error["code"] == "rate_limit_exceeded"
        assert 1 <= int(replies[2].headers["retry-after"]) <= 30
        assert listing.status == 429


class TestTheModel:
    async def test_must_exist(self, customer: Customer) -> None:
        body = orjson.dumps({"model": "no-such-model", "messages": [{"role": "user", "content": "x"}]})
        reply = await customer.send(body)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "model_not_found", "model")
        await assert_untouched(customer)

    async def test_when_retired_names_its_successor(self, customer: Customer) -> None:
        name = await customer.serve("openai")
        await customer.change(
            "UPDATE model SET status = 'retired', successor = 'gpt-4o-mini' WHERE id = %s", [name]
        )
        reply = await customer.chat("openai")
        assert (reply.status, reply.error["code"]) == (404, "model_not_found")
        assert reply.error["successor"] == "gpt-4o-mini"
        assert "gpt-4o-mini" in reply.error["message"]
        await assert_untouched(customer)

    @pytest.mark.parametrize(
        ("allowed", "status"), [(["other"], 403), ([], 403), (["gpt-*"], 200), (["gpt-4o-mini"], 200)]
    )
    async def test_must_be_on_the_keys_list(
        self, customer: Customer, allowed: list[str], status: int
    ) -> None:
        await customer.change(
            "UPDATE api_key SET allowed_models = %s WHERE id = %s", [allowed, customer.api_key_id]
        )
        reply = await customer.chat("openai")
        assert reply.status == status
        if status == 403:
            assert reply.error["code"] == "model_not_allowed"
            await assert_untouched(customer)

    @pytest.mark.parametrize("prices", [{}, {"in_fresh": ("1", "1")}, {"out_text": ("1", "1")}])
    async def test_must_have_a_price(self, customer: Customer, prices: dict[str, Any]) -> None:
        await customer.serve("openai", prices=prices)
        reply = await customer.chat("openai")
        assert (reply.status, reply.error["code"]) == (503, "model_not_priced")
        await assert_untouched(customer)

    async def test_may_have_a_price_of_zero(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, balance="0") as customer:
            await customer.serve("openai", prices={"in_fresh": ("1", "0"), "out_text": ("0", "0")})
            customer.fault("openai", "input_tokens=10 output_tokens=7")
            reply = await customer.chat("openai")
            row = await customer.one_row()
        assert reply.status == 200
        assert (row["sale"], row["cost"]) == (0, 10_000)

    async def test_must_have_a_credential(self, customer: Customer) -> None:
        await customer.serve("openai", credentials=0)
        reply = await customer.chat("openai")
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        await assert_untouched(customer)


USER = [{"role": "user", "content": "x"}]


class TestTheBody:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"x"',
            b"\xff\xfe",
            b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\\ud800"}]}',
            b"[" * 100_000,
            orjson.dumps({"messages": USER}),
            orjson.dumps({"model": None, "messages": USER}),
            orjson.dumps({"model": "", "messages": USER}),
            orjson.dumps({"model": 7, "messages": USER}),
            orjson.dumps({"model": "m" * 300, "messages": USER}),
            orjson.dumps({"model": "gpt-4o-mini"}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": []}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": "hello"}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": ["hello"]}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": [{"content": "x"}]}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": 7}]}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [7]}]}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "stream": "yes"}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "stream_options": 3}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "max_tokens": 0}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "max_tokens": -5}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "max_tokens": 1.5}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "max_tokens": True}),
            b'{"model": "gpt-4o-mini", "messages": [{"role": "user"}], "max_tokens": 1e400}',
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "n": 0}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "n": 10**6}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "temperature": "hot"}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "tools": [1]}),
            orjson.dumps({"model": "gpt-4o-mini", "messages": USER, "stop": [1]}),
        ],
    )
    async def test_must_make_sense(self, customer: Customer, body: bytes) -> None:
        reply = await customer.send(body)
        assert reply.status == 422
        assert reply.error["code"]
        assert reply.error["type"] == "invalid_request_error"
        await assert_untouched(customer)


class TestPathsAndMethods:
    @pytest.mark.parametrize(
        ("method", "path", "status", "allow"),
        [
            ("GET", CHAT, 405, "POST"),
            ("PUT", CHAT, 405, "POST"),
            ("DELETE", CHAT, 405, "POST"),
            ("POST", "/v1/models", 405, "GET"),
            ("DELETE", "/v1/models/gpt-4o-mini", 405, "GET, POST"),
            ("POST", "/v1/usage/1", 405, "GET"),
            ("GET", "/v1/nothing", 404, None),
            ("POST", "/v1/nothing", 404, None),
            ("POST", CHAT + "/", 404, None),
            ("POST", "/v1", 404, None),
            ("POST", "/", 404, None),
            ("POST", "/v1/Chat/Completions", 404, None),
            ("GET", "/v1/models/", 404, None),
            ("GET", "/v1/models/no-such", 404, None),
            ("GET", "/v1/usage/", 404, None),
            ("GET", "/v1/usage/no-uuid", 404, None),
            ("GET", "/v1/usage/01890000-0000-7000-8000-000000000000", 404, None),
        ],
    )
    async def test_that_are_wrong_say_so(
        self, customer: Customer, method: str, path: str, status: int, allow: str | None
    ) -> None:
        body = b"" if method in {"GET", "DELETE"} else customer.payload("openai")
        reply = await customer.send(body, path=path, method=method)
        assert reply.status == status
        assert reply.headers.get("allow") == allow
        assert reply.error["code"]
        assert reply.headers["x-request-id"]
        await assert_untouched(customer)

    @pytest.mark.parametrize("path", ["/v1/models", "/v1/nothing", "/v1/usage/x"])
    async def test_are_told_to_nobody_without_a_key(self, customer: Customer, path: str) -> None:
        reply = await customer.send(b"", path=path, method="GET", headers={})
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")

    async def test_of_the_catalogue_answer(self, customer: Customer) -> None:
        listing = await customer.send(b"", path="/v1/models", method="GET")
        shown = await customer.send(b"", path="/v1/models/gpt-4o-mini", method="GET")
        assert "gpt-4o-mini" in [model["id"] for model in listing.json()["data"]]
        assert shown.json()["id"] == "gpt-4o-mini"

    @every_kind
    async def test_of_usage_explain_the_cost(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, "input_tokens=100 output_tokens=20 cached=30")
        reply = await customer.chat(kind)
        told = await customer.send(b"", path=f"/v1/usage/{reply.headers['x-request-id']}", method="GET")
        sale = sale_of(in_fresh=70, cache_read=30, out_text=20)
        assert told.status == 200
        assert told.json()["outcome"] == "completed"
        assert as_nano(reply.headers["x-bursar-cost"]) == sale
        assert as_nano(told.json()["sale"] if "sale" in told.json() else told.json()["cost"]) == sale

    async def test_of_anothers_usage_find_nothing(
        self, customer: Customer, shared_stack: SharedStack
    ) -> None:
        reply = await customer.chat("openai")
        async with new_customer(shared_stack) as other:
            told = await other.send(b"", path=f"/v1/usage/{reply.headers['x-request-id']}", method="GET")
        assert told.status == 404


class TestAModelWithoutALimit:
    async def test_is_told_the_bound_that_is_held_for(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack) as customer:
            await customer.serve("openai_compatible", output_tokens_max=None)
            customer.fault("openai_compatible", "input_tokens=10 output_tokens=5")
            assert (await customer.chat("openai_compatible", SAID)).status == 200
            sent = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
        assert sent["max_tokens"] == OUTPUT_TOKENS_UNKNOWN


@every_kind
class TestTooLittleMoney:
    @streamed_or_not
    async def test_refuses_the_bound_the_caller_set(
        self, shared_stack: SharedStack, kind: str, *, stream: bool
    ) -> None:
        async with new_customer(shared_stack, balance="0.0005") as customer:
            reply = await customer.chat(kind, SAID, stream=stream, max_tokens=50)
            await assert_untouched(customer)
        assert hold_of(ASKED, 50) == 513_000
        assert (reply.status, reply.error["code"]) == (402, "insufficient_balance")
        assert reply.error["spendable"] == "0.0005"
        assert reply.error["estimate"] == "0.000513"
        assert reply.error["currency"] == "USD"

    @streamed_or_not
    async def test_admits_what_just_fits(self, shared_stack: SharedStack, kind: str, *, stream: bool) -> None:
        async with new_customer(shared_stack, balance="0.000513") as customer:
            customer.fault(kind, "input_tokens=10 output_tokens=50")
            reply = await customer.chat(kind, SAID, stream=stream, max_tokens=50)
            row = await customer.one_row()
        assert reply.status == 200
        assert row["sale"] == sale_of(in_fresh=10, out_text=50)

    @streamed_or_not
    async def test_clamps_the_output_when_the_caller_set_no_bound(
        self, shared_stack: SharedStack, kind: str, *, stream: bool
    ) -> None:
        async with new_customer(shared_stack, balance="0.0005") as customer:
            customer.fault(kind, "output_tokens=4000 input_tokens=10")
            reply = await customer.chat(kind, SAID, stream=stream)
            row = await customer.one_row()
            sent = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
        fits = (500_000 - 3000 * ASKED) // 9600
        name = {"openai": "max_completion_tokens", "gemini": "maxOutputTokens"}.get(kind, "max_tokens")
        assert sent.get("generationConfig", sent)[name] == fits == 48
        assert reply.status == 200
        assert row["sale"] == sale_of(in_fresh=10, out_text=48)
        assert b'"length"' in reply.body

    async def test_clamps_each_of_several_answers(self, shared_stack: SharedStack, kind: str) -> None:
        async with new_customer(shared_stack, balance="0.0005") as customer:
            customer.fault(kind, "output_tokens=4000 input_tokens=10")
            reply = await customer.chat(kind, SAID, n=2)
            if kind in {"anthropic", "gemini"}:
                assert reply.status in {400, 422}
                await assert_untouched(customer)
                return
            row = await customer.one_row()
        assert row["sale"] == sale_of(in_fresh=10, out_text=48)

    @pytest.mark.parametrize("balance", ["0", "0.00003", "0.00018"])
    async def test_refuses_when_no_useful_answer_fits(
        self, shared_stack: SharedStack, kind: str, balance: str
    ) -> None:
        async with new_customer(shared_stack, balance=balance) as customer:
            reply = await customer.chat(kind, SAID)
            await assert_untouched(customer)
        assert hold_of(ASKED, 16) == 186_600
        assert (reply.status, reply.error["code"]) == (402, "insufficient_balance")
        assert as_nano(reply.error["spendable"]) == customer.balance

    async def test_admits_no_more_than_the_balance_covers_at_once(
        self, shared_stack: SharedStack, kind: str
    ) -> None:
        async with new_customer(shared_stack, balance="0.002") as customer:
            await customer.serve(kind)
            customer.fault(kind, "delay_ms=300 input_tokens=10 output_tokens=7", count=None)
            replies = await asyncio.gather(*(customer.chat(kind, SAID, max_tokens=50) for _ in range(8)))
            rows = await customer.usage()
        admitted = 2_000_000 // hold_of(ASKED, 50)
        assert sorted(reply.status for reply in replies) == [200] * admitted + [402] * (8 - admitted)
        assert len(rows) == admitted == 3


def talker(kind: str, count: int, *, at_once: int = 1) -> Any:
    """A provider that heeds no bound: so many words of one token each, a few at a time."""

    async def script(visit: Visit) -> None:
        await visit.say(OK_STREAM + chunked(*opening(kind, sent=10)))
        for _ in range(count // at_once):
            await visit.say(chunked(*words(kind, *["abc"] * at_once)))
            await asyncio.sleep(0.001)
        await visit.say(chunked(*ending(kind, sent=10, came=count)) + LAST_CHUNK)
        await visit.gone.wait()

    return script


@every_kind
class TestAStreamThatOutgrowsItsHold:
    async def test_is_extended_while_there_is_money(self, customer: Customer, kind: str) -> None:
        async with raw_provider(talker(kind, 100)) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, SAID, stream=True, max_tokens=10)
            row = await customer.one_row()
        assert reply.text() == "abc" * 100
        assert row["outcome"] == "completed"
        assert row["sale"] == sale_of(in_fresh=10, out_text=100) > hold_of(ASKED, 10)

    async def test_is_cut_when_the_money_runs_out(self, shared_stack: SharedStack, kind: str) -> None:
        async with (
            new_customer(shared_stack, balance="0.0002") as customer,
            raw_provider(talker(kind, 300)) as provider,
        ):
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, SAID, stream=True, max_tokens=10)
            await asyncio.wait_for(provider.visits[0].gone.wait(), WAIT_S)
            row = await customer.one_row()
        sent = 10 if kind == "anthropic" else ASKED
        heard = tokens_of_letters(reply.text())
        told = reply.events()[-2]["error"]
        assert 20 < heard < 100
        assert told["code"] == "insufficient_balance"
        assert told["type"] == "insufficient_quota"
        assert reply.events()[-1] == "[DONE]"
        assert (row["outcome"], row["status"], row["error_code"]) == (
            "cut_off",
            402,
            "insufficient_balance",
        )
        assert row["sale"] == hold_of(ASKED, 10) < sale_of(in_fresh=sent, out_text=heard)
        assert row["cost"] == cost_of(in_fresh=sent, out_text=heard)

    async def test_holds_the_usual_length_and_grows(self, shared_stack: SharedStack, kind: str) -> None:
        """After twenty short answers a stream holds for 256 tokens; money that went elsewhere ends it."""
        other = uuid4()
        async with (
            new_customer(shared_stack, balance="0.05") as customer,
            raw_provider(talker(kind, 2000, at_once=4)) as provider,
            customer.calling() as caller,
        ):
            name = await customer.serve(kind)
            for _ in range(20):
                customer.fault(kind, "input_tokens=10 output_tokens=5")
                await customer.chat(kind, SAID, stream=True, max_tokens=300)
            await customer.change(
                "UPDATE provider SET base_url = %s FROM route"
                " WHERE route.provider_id = provider.id AND route.model_id = %s",
                [provider.base_url(kind), name],
            )
            customer.hide(provider.base_url(kind))
            await customer.start(caller, kind, SAID, stream=True)
            await caller.until(b"abc")
            (account,) = customer.accounts()
            assert account.lease.outstanding == hold_of(ASKED, 256)
            await take_the_rest(customer, other)
            reply = await caller.reply()
            rows = await customer.usage()
            await customer.rows("SELECT bursar_close_process(%s, NULL, now())", [other])
        assert reply.events()[-2]["error"]["code"] == "insufficient_balance"
        assert rows[-1]["outcome"] == "cut_off"
        assert 256 < rows[-1]["output_tokens"] < 1000
        assert (await customer.wallet())["owed"] == 0


async def take_the_rest(customer: Customer, process_id: Any) -> None:
    """Another gateway process leases all that is left."""
    await customer.change("SELECT bursar_open_process(%s, 'gateway', 'other')", [process_id])
    wallet = (await customer.rows("SELECT * FROM wallet WHERE id = %s", [customer.wallet_id]))[0]
    left = wallet["posted"] - wallet["held"] - wallet["owed"]
    await customer.change(
        "SELECT bursar_take(1, %s, %s, %s, 'text', %s, %s, %s, now())",
        [process_id, customer.wallet_id, customer.organisation_id, left, left, left],
    )


class TestTooManyAtOnce:
    async def test_are_told_to_come_back(self, customer: Customer) -> None:
        customer.gw.limits = replace(customer.gw.limits, in_flight_max=1)
        await customer.serve("openai")
        customer.fault("openai", "delay_ms=300")
        async with customer.calling() as caller:
            await customer.start(caller, "openai")
            await eventually(lambda: customer.gw.in_flight == 1)
            reply = await customer.chat("openai")
            assert (await caller.reply()).status == 200
        assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (503, "overloaded", "1")
        assert len(await customer.usage()) == 1
