"""Asking again: a pause, the same lane, within a deadline; every try has its row."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from proving import KINDS, Customer, sale_of
from raw_provider import Visit, completion, raw_provider, whole_answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def patient(customer: Customer, **limits: Any) -> None:
    told = {"rounds_max": 2, "retry_backoff_ms": 20, **limits}
    customer.gw.limits = replace(customer.gw.limits, **told)


@every_kind
class TestASecondRound:
    @streamed_or_not
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
    async def test_mends_what_passes(
        self, customer: Customer, kind: str, status: int, *, stream: bool
    ) -> None:
        patient(customer)
        await customer.serve(kind)
        customer.fault(kind, f"status={status}")
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        reply = await customer.chat(kind, stream=stream)
        failed, answered = await customer.usage()
        assert reply.status == 200
        assert (failed["attempt"], failed["outcome"], failed["sale"], failed["cost"]) == (
            0,
            "provider_error_before_output",
            0,
            0,
        )
        assert failed["credential_id"] == answered["credential_id"]
        assert (answered["attempt"], answered["sale"]) == (1, sale_of(in_fresh=10, out_text=7))

    @pytest.mark.parametrize("script", ["cut_body", "empty_body", "garbage"])
    async def test_mends_a_broken_answer(self, customer: Customer, kind: str, script: str) -> None:
        patient(customer)
        await customer.serve(kind)
        customer.fault(kind, script)
        reply = await customer.chat(kind)
        assert reply.status == 200
        assert [row["attempt"] for row in await customer.usage()] == [0, 1]

    async def test_tries_a_connection_that_nobody_takes(self, customer: Customer, kind: str) -> None:
        patient(customer, rounds_max=3, attempts_max=3)
        async with raw_provider(lambda visit: visit.say(b"")) as provider:
            address = provider.base_url(kind)  # nobody listens there any more
        await customer.serve(kind, base_url=address)
        reply = await customer.chat(kind)
        assert (reply.status, reply.error["code"]) == (502, "provider_error")
        assert [row["attempt"] for row in await customer.usage()] == [0, 1, 2]

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
    async def test_is_not_for_what_stays(self, customer: Customer, kind: str, status: int) -> None:
        patient(customer)
        await customer.serve(kind)
        customer.fault(kind, f"status={status}")
        reply = await customer.chat(kind)
        assert reply.status >= 400
        assert reply.status != 402
        assert len(await customer.usage()) == 1

    async def test_comes_after_every_lane_had_its_turn(self, customer: Customer, kind: str) -> None:
        patient(customer, attempts_max=6)
        await customer.serve(kind, credentials=2)
        customer.fault(kind, "status=500", count=3)
        reply = await customer.chat(kind)
        rows = await customer.usage()
        assert reply.status == 200
        lanes = [row["credential_id"] for row in rows]
        assert lanes == [lanes[0], lanes[1], lanes[0], lanes[1]]
        assert lanes[0] != lanes[1]

    async def test_ends_with_the_tries(self, customer: Customer, kind: str) -> None:
        patient(customer, rounds_max=9, attempts_max=3)
        await customer.serve(kind)
        customer.fault(kind, "status=500", count=9)
        reply = await customer.chat(kind)
        assert reply.status == 502
        assert [row["attempt"] for row in await customer.usage()] == [0, 1, 2]

    async def test_ends_with_the_rounds(self, customer: Customer, kind: str) -> None:
        patient(customer, rounds_max=2, attempts_max=9)
        await customer.serve(kind)
        customer.fault(kind, "status=500", count=9)
        assert (await customer.chat(kind)).status == 502
        assert len(await customer.usage()) == 2


@every_kind
class TestThePause:
    async def test_is_not_begun_when_it_would_pass_the_deadline(self, customer: Customer, kind: str) -> None:
        patient(customer, retry_deadline_ms=5_000)
        await customer.serve(kind)
        customer.fault(kind, "status=429 retry_after=30")
        reply = await customer.chat(kind)
        assert (reply.status, reply.headers["retry-after"]) == (503, "30")
        assert len(await customer.usage()) == 1

    async def test_lasts_as_long_as_the_provider_said(self, customer: Customer, kind: str) -> None:
        patient(customer)
        await customer.serve(kind)
        customer.fault(kind, "status=429 retry_after=1")
        reply = await customer.chat(kind)
        _, answered = await customer.usage()
        assert reply.status == 200
        assert answered["latency_ms"] >= 1_000

    async def test_ends_when_the_caller_leaves(self, customer: Customer, kind: str) -> None:
        patient(customer)
        visits = []

        async def script(visit: Visit) -> None:
            visits.append(visit)
            await visit.say(whole_answer(b"{}", status="429 Wait", headers="retry-after: 5\r\n"))

        async with raw_provider(script) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            async with customer.calling() as caller:
                await customer.start(caller, kind)
                while not any(ticket.failed for ticket in customer.gw.under_way.values()):
                    await asyncio.sleep(0.005)
                caller.hang_up()
            (row,) = await customer.usage()
        assert len(visits) == 1
        assert (row["outcome"], row["sale"], row["cost"]) == ("provider_error_before_output", 0, 0)


@every_kind
class TestAnAnswer:
    async def test_that_was_sent_but_not_heard_is_not_asked_for_twice(
        self, customer: Customer, kind: str
    ) -> None:
        """A silent provider may be making, and billing, the answer."""
        patient(customer)
        visits = []

        async def script(visit: Visit) -> None:
            visits.append(visit)
            await visit.gone.wait()

        async with raw_provider(script) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind), timeouts={"first_byte_ms": 100})
            reply = await customer.chat(kind)
        assert (reply.status, len(visits)) == (504, 1)
        assert len(await customer.usage()) == 1

    async def test_of_a_second_try_is_told_whole(self, customer: Customer, kind: str) -> None:
        patient(customer)
        answers = [
            whole_answer(b"{}", status="500 Oh"),
            whole_answer(completion(kind, "yes", sent=3, came=1)),
        ]

        async def script(visit: Visit) -> None:
            await visit.say(answers.pop(0))

        async with raw_provider(script) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind)
        assert reply.json()["choices"][0]["message"]["content"] == "yes"
