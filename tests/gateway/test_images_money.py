"""Pictures, from key to ledger: sold by the piece or by their tokens, and who pays when something fails."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest
from caller import Reply
from proving import Customer, SharedStack, as_nano, eventually, new_customer, tokens_of_letters
from raw_provider import OK_STREAM, Visit, chunked, raw_provider, says, whole_answer
from serving import (
    EMBEDDINGS,
    IMAGES,
    PICTURE_PRICES,
    TOKEN_PRICES,
    body,
    draws,
    embeds,
    sold,
    spent,
)

from bursar.core.money import parse_amount

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT = "a cat with a hat"
ESTIMATE = 16 + tokens_of_letters(PROMPT)
LOW_SQUARE = 272
PARTIAL = 100
LOW = {"quality": "low", "size": "1024x1024"}


def picture(usage: dict[str, int] | None = None, number: int = 1) -> bytes:
    """The body of a whole answer."""
    told = {"created": 1, "data": [{"b64_json": "aGk="}] * number}
    return orjson.dumps(told if usage is None else {**told, "usage": usage})


def tokens(sent: int, came: int) -> dict[str, int]:
    return {"input_tokens": sent, "output_tokens": came, "total_tokens": sent + came}


def event(name: str, **said: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **said}))


def events(reply: Reply) -> list[Any]:
    """The JSON of every event of a stream."""
    frames = bytes(reply.body).split(b"\n\n")
    return [orjson.loads(frame.partition(b"data: ")[2]) for frame in frames if b"data: " in frame]


PARTIAL_EVENT = event("image_generation.partial_image", b64_json="aGk=", partial_image_index=0)


def completed(sent: int, came: int) -> bytes:
    return event("image_generation.completed", b64_json="aGk=", usage=tokens(sent, came))


class TestSoldByTokens:
    async def test_a_picture_costs_what_the_provider_measured(self, customer: Customer) -> None:
        model = await draws(customer)
        customer.fault("openai", "input_tokens=20 output_tokens=1500 reasoning=100")
        reply = await customer.send(body(model, prompt=PROMPT, n=2), path=IMAGES)
        row = await customer.one_row()
        used = {"in_fresh": 20, "out_image": 1400, "out_text": 100}
        assert (reply.status, len(reply.json()["data"])) == (200, 2)
        assert (row["outcome"], row["dialect"], row["scope_class"]) == ("completed", "openai_images", "image")
        assert row["quantities"] == {**used, "image": 2}
        assert (row["sale"], row["cost"]) == (sold(TOKEN_PRICES, **used), spent(TOKEN_PRICES, **used))
        assert (row["flags"], row["estimated"]) == ([], False)
        assert as_nano(reply.headers["x-bursar-cost"]) == row["sale"]

    async def test_our_estimate_when_the_provider_tells_no_usage(self, customer: Customer) -> None:
        model = await draws(customer)
        customer.fault("openai", "no_usage")
        await customer.send(body(model, prompt=PROMPT, n=2, **LOW), path=IMAGES)
        row = await customer.one_row()
        used = {"in_fresh": ESTIMATE, "out_image": 2 * LOW_SQUARE}
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert row["quantities"] == {**used, "image": 2}
        assert row["sale"] == sold(TOKEN_PRICES, **used)

    async def test_out_of_which_an_image_price_takes_the_place_of_its_tokens(
        self, customer: Customer
    ) -> None:
        """Nothing is sold twice: the prompt by tokens, the picture by the piece."""
        prices = {**TOKEN_PRICES, **PICTURE_PRICES}
        model = await draws(customer, prices=prices)
        customer.fault("openai", "input_tokens=20 output_tokens=1500")
        await customer.send(body(model, prompt=PROMPT), path=IMAGES)
        row = await customer.one_row()
        assert row["sale"] == sold(prices, in_fresh=20, image=1)
        assert row["flags"] == []


class TestSoldByThePiece:
    @pytest.mark.parametrize("form", ["url", "b64_json"])
    async def test_what_came_is_counted(self, customer: Customer, form: str) -> None:
        model = await draws(customer, prices=PICTURE_PRICES, provider_model="dall-e-2")
        reply = await customer.send(body(model, prompt=PROMPT, n=3, response_format=form), path=IMAGES)
        row = await customer.one_row()
        assert [list(entry) for entry in reply.json()["data"]] == [[form]] * 3
        assert (row["outcome"], row["estimated"], row["flags"]) == ("completed", False, [])
        assert row["quantities"] == {"image": 3}
        assert (row["sale"], row["cost"]) == (sold(PICTURE_PRICES, image=3), spent(PICTURE_PRICES, image=3))

    async def test_pictures_that_did_not_come_are_not_sold(self, customer: Customer) -> None:
        model = await draws(customer, "openai_compatible", prices=PICTURE_PRICES)
        customer.fault("openai_compatible", "fewer")
        await customer.send(body(model, prompt=PROMPT, n=3), path=IMAGES)
        assert (await customer.one_row())["sale"] == sold(PICTURE_PRICES, image=2)

    async def test_pictures_nobody_asked_for_are_not_sold(self, customer: Customer) -> None:
        async with raw_provider(says(whole_answer(picture(number=4)))) as provider:
            model = await draws(customer, prices=PICTURE_PRICES, base_url=provider.base_url("openai"))
            await customer.send(body(model, prompt=PROMPT, n=2), path=IMAGES)
        row = await customer.one_row()
        assert row["sale"] == sold(PICTURE_PRICES, image=2)
        assert row["flags"] == ["more_pictures_than_asked"]

    @pytest.mark.parametrize(
        ("asked", "sale"),
        [
            ({"quality": "hd", "size": "1792x1024"}, "0.15"),
            ({"quality": "hd"}, "0.1"),
            ({"quality": "standard", "size": "1792x1024"}, "0.09"),
            ({"quality": "standard"}, "0.05"),
            ({"quality": "auto", "size": "auto"}, "0.05"),
            ({"quality": "cheap"}, "0.05"),
        ],
    )
    async def test_by_quality_and_size_where_the_book_tells_them_apart(
        self, customer: Customer, asked: dict[str, str], sale: str
    ) -> None:
        model = await draws(
            customer, "openai_compatible", prices=PICTURE_PRICES, provider_model=f"flux-{uuid4().hex}"
        )
        for name, price in (("hd:1792x1024", "0.15"), ("hd", "0.1"), ("1792x1024", "0.09"), ("cheap", "0")):
            await customer.change(
                "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
                " created_at) SELECT provider_id, provider_model || ':' || %s, 'image', 'USD', '2026-01-01',"
                " 0.01, %s, 'test', now() FROM route WHERE model_id = %s",
                [name, price, model],
            )
        reply = await customer.send(body(model, prompt=PROMPT, **asked), path=IMAGES)
        assert reply.status == 200
        assert (await customer.one_row())["sale"] == as_nano(sale)


class TestHolds:
    async def test_cover_every_picture_asked_for(self, customer: Customer) -> None:
        async with raw_provider(_silent) as provider:
            model = await draws(customer, base_url=provider.base_url("openai"))
            async with customer.calling() as caller:
                await caller.post(IMAGES, body(model, prompt=PROMPT, n=2, **LOW), customer.authorization)
                await eventually(lambda: provider.visits)
                held = sold(TOKEN_PRICES, in_fresh=ESTIMATE, out_image=2 * LOW_SQUARE)
                assert sum(one.lease.outstanding for one in customer.accounts()) == held
                provider.visits[0].writer.close()
                assert (await caller.reply()).status == 502

    async def test_are_refused_when_the_money_is_not_there(self, customer: Customer) -> None:
        model = await draws(customer, prices={"image": ("40000", "30000000")})
        reply = await customer.send(body(model, prompt=PROMPT, n=4), path=IMAGES)
        assert (reply.status, reply.error["code"]) == (402, "insufficient_balance")
        assert reply.error["estimate"] == "120.00"
        assert await customer.usage() == []

    async def test_are_paid_from_lots_for_pictures_first(self, customer: Customer) -> None:
        grant_for_pictures(customer, "1")
        model = await draws(customer, prices=PICTURE_PRICES, provider_model="dall-e-2")
        await customer.send(body(model, prompt=PROMPT, n=2), path=IMAGES)
        await customer.chat("anthropic")
        await customer.wallet()
        left = await customer.rows(
            "SELECT scope_class, original - remaining AS used FROM credit_lot WHERE wallet_id = %s"
            " ORDER BY scope_class NULLS LAST",
            [customer.wallet_id],
        )
        by_path = {row["endpoint"]: row["sale"] for row in await customer.usage()}
        assert [(lot["scope_class"], lot["used"]) for lot in left] == [
            ("image", by_path[IMAGES]),
            (None, by_path["/v1/chat/completions"]),
        ]

    async def test_can_rest_on_a_lot_for_pictures_alone_but_nothing_else_can(
        self, shared_stack: SharedStack
    ) -> None:
        async with new_customer(shared_stack, balance="0") as poor:
            grant_for_pictures(poor, "0.12")
            model = await draws(poor, prices=PICTURE_PRICES, provider_model="dall-e-2")
            drawn = [(await poor.send(body(model, prompt=PROMPT), path=IMAGES)).status for _ in range(3)]
            assert drawn == [200, 200, 402]
            assert (await poor.chat("anthropic")).error["code"] == "insufficient_balance"
            vectors = await embeds(poor, "openai_compatible")
            assert (await poor.send(body(vectors, input="hello"), path=EMBEDDINGS)).status == 402


def grant_for_pictures(customer: Customer, amount: str) -> None:
    units = parse_amount(amount, "USD")
    with psycopg.connect(customer.stack.database.url, autocommit=True) as connection:
        connection.execute(
            "SELECT bursar_top_up(%s, %s, 'promo', %s, 'image', 100, now(), NULL::timestamptz,"
            " 0::numeric, %s::text, 'hash'::text, 'test'::text, NULL::text, now())",
            [customer.wallet_id, uuid4(), units, str(uuid4())],
        )
    customer.balance += units


async def _silent(visit: Visit) -> None:
    await visit.gone.wait()


class TestRefusals:
    @pytest.mark.parametrize("prices", [{}, {"in_fresh": ("1", "1")}, {"out_image": ("1", "1")}])
    async def test_without_what_pictures_are_sold_by(
        self, customer: Customer, prices: dict[str, tuple[str, str]]
    ) -> None:
        model = await draws(customer, prices=prices)
        reply = await customer.send(body(model, prompt=PROMPT), path=IMAGES)
        assert (reply.status, reply.error["code"]) == (503, "model_not_priced")

    async def test_of_a_model_for_chats_names_its_endpoint(self, customer: Customer) -> None:
        reply = await customer.send(body(customer.models["openai"], prompt=PROMPT), path=IMAGES)
        assert (reply.status, reply.error["code"]) == (400, "wrong_endpoint")
        assert reply.error["endpoints"] == ["/v1/chat/completions"]

    async def test_of_the_safety_system_cost_nothing(self, customer: Customer) -> None:
        model = await draws(customer)
        customer.fault("openai", "content_filter")
        reply = await customer.send(body(model, prompt=PROMPT), path=IMAGES)
        assert (reply.status, reply.error["param"]) == (400, "prompt")
        row = await customer.one_row()
        assert (row["outcome"], row["sale"], row["cost"]) == ("provider_error_before_output", 0, 0)

    async def test_of_several_streamed_pictures_names_n(self, customer: Customer) -> None:
        model = await draws(customer)
        reply = await customer.send(body(model, prompt=PROMPT, n=2, stream=True), path=IMAGES)
        assert (reply.status, reply.error["code"]) == (422, "unsupported_parameter")
        assert reply.error["param"] == "n"


class TestWhoPays:
    @pytest.mark.parametrize("script", ["status=500", "garbage", "cut_body"])
    @pytest.mark.parametrize("stream", [False, True])
    async def test_nobody_for_a_providers_error_before_output(
        self, customer: Customer, script: str, *, stream: bool
    ) -> None:
        model = await draws(customer)
        customer.fault("openai", "cut_after_events=0" if stream and script == "cut_body" else script)
        reply = await customer.send(body(model, prompt=PROMPT, stream=stream), path=IMAGES)
        row = await customer.one_row()
        assert reply.status >= 500
        assert reply.error["code"]
        assert (row["outcome"], row["sale"], row["cost"]) == ("provider_error_before_output", 0, 0)

    async def test_the_caller_who_hangs_up_for_the_picture_that_was_made(self, customer: Customer) -> None:
        """Its maker went on to the end: the gateway reads on and books what was measured, however late."""
        customer.gw.limits = replace(customer.gw.limits, drain_ms=1)
        may_answer = asyncio.Event()

        async def slow(visit: Visit) -> None:
            await may_answer.wait()
            await visit.say(whole_answer(picture(tokens(20, LOW_SQUARE))))

        async with raw_provider(slow) as provider:
            model = await draws(customer, base_url=provider.base_url("openai"))
            async with customer.calling() as caller:
                await caller.post(IMAGES, body(model, prompt=PROMPT, **LOW), customer.authorization)
                await eventually(lambda: provider.visits)
                caller.hang_up()
                await eventually(lambda: customer.gw.background)
            await asyncio.sleep(0.05)
            may_answer.set()
            row = await customer.one_row()
        assert (row["outcome"], row["status"]) == ("hangup_before_output", 499)
        assert row["quantities"] == {"in_fresh": 20, "out_image": LOW_SQUARE, "image": 1}
        assert row["sale"] == sold(TOKEN_PRICES, in_fresh=20, out_image=LOW_SQUARE)
        assert not row["estimated"]

    async def test_nobody_when_the_provider_then_fails(self, customer: Customer) -> None:
        async def slow(visit: Visit) -> None:
            await eventually(lambda: customer.gw.background)
            await visit.say(whole_answer(b'{"error": {"message": "no"}}', status="500 No"))

        async with raw_provider(slow) as provider:
            model = await draws(customer, base_url=provider.base_url("openai"))
            async with customer.calling() as caller:
                await caller.post(IMAGES, body(model, prompt=PROMPT), customer.authorization)
                await eventually(lambda: provider.visits)
                caller.hang_up()
                row = await customer.one_row()
        assert (row["outcome"], row["sale"], row["cost"]) == ("provider_error_before_output", 0, 0)

    async def test_for_all_that_was_asked_when_nobody_can_tell(self, customer: Customer) -> None:
        """The provider breaks off after the caller: its bill may be for every picture."""

        async def slow(visit: Visit) -> None:
            await eventually(lambda: customer.gw.background)
            visit.reset()

        async with raw_provider(slow) as provider:
            model = await draws(customer, prices=PICTURE_PRICES, base_url=provider.base_url("openai"))
            async with customer.calling() as caller:
                await caller.post(IMAGES, body(model, prompt=PROMPT, n=3), customer.authorization)
                await eventually(lambda: provider.visits)
                caller.hang_up()
                row = await customer.one_row()
        assert (row["outcome"], row["estimated"]) == ("hangup_before_output", True)
        assert row["sale"] == sold(PICTURE_PRICES, image=3)


class TestStreams:
    async def test_pass_partial_pictures_on_and_end_with_the_cost(self, customer: Customer) -> None:
        model = await draws(customer)
        asked = body(model, prompt=PROMPT, stream=True, partial_images=2, **LOW)
        customer.fault("openai", "input_tokens=20")
        reply = await customer.send(asked, path=IMAGES)
        *partial, last = events(reply)
        row = await customer.one_row()
        used = {"in_fresh": 20, "out_image": LOW_SQUARE + 2 * PARTIAL}
        assert [one["type"] for one in partial] == ["image_generation.partial_image"] * 2
        assert (last["type"], bool(last["b64_json"])) == ("image_generation.completed", True)
        assert (row["outcome"], row["streamed"], row["sale"]) == (
            "completed",
            True,
            sold(TOKEN_PRICES, **used),
        )
        assert as_nano(last["usage"]["cost"]) == row["sale"]
        assert as_nano(last["usage"]["balance"]) == customer.balance - row["sale"]
        assert last["usage"]["output_tokens"] == used["out_image"]

    async def test_without_usage_are_sold_by_our_estimate_and_say_so(self, customer: Customer) -> None:
        model = await draws(customer)
        customer.fault("openai", "no_usage")
        reply = await customer.send(body(model, prompt=PROMPT, stream=True, **LOW), path=IMAGES)
        row = await customer.one_row()
        assert (row["outcome"], row["sale"]) == (
            "usage_missing",
            sold(TOKEN_PRICES, in_fresh=ESTIMATE, out_image=LOW_SQUARE),
        )
        assert events(reply)[-1]["usage"]["output_tokens"] == LOW_SQUARE

    async def test_cut_by_the_provider_are_sold_as_far_as_they_came(self, customer: Customer) -> None:
        async with raw_provider(says(OK_STREAM, chunked(PARTIAL_EVENT))) as provider:
            model = await draws(customer, base_url=provider.base_url("openai"))
            asked = body(model, prompt=PROMPT, stream=True, partial_images=1)
            reply = await customer.send(asked, path=IMAGES)
            row = await customer.one_row()
        assert [one["type"] for one in events(reply)] == ["image_generation.partial_image", "error"]
        assert events(reply)[-1]["error"]["code"] == "provider_error"
        assert row["outcome"] == "provider_error_after_output"
        assert row["sale"] == sold(TOKEN_PRICES, in_fresh=ESTIMATE, out_image=PARTIAL)

    async def test_left_midway_are_sold_with_the_picture_that_was_made(self, customer: Customer) -> None:
        async def slow(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(PARTIAL_EVENT))
            await eventually(lambda: customer.gw.background)
            await visit.say(chunked(completed(20, LOW_SQUARE + PARTIAL)) + b"0\r\n\r\n")

        async with raw_provider(slow) as provider:
            model = await draws(customer, base_url=provider.base_url("openai"))
            async with customer.calling() as caller:
                asked = body(model, prompt=PROMPT, stream=True, partial_images=1, **LOW)
                await caller.post(IMAGES, asked, customer.authorization)
                await caller.until(b"partial_image")
                caller.hang_up()
                row = await customer.one_row()
        assert row["outcome"] == "hangup_midstream"
        assert row["sale"] == sold(TOKEN_PRICES, in_fresh=20, out_image=LOW_SQUARE + PARTIAL)

    async def test_with_pictures_larger_than_other_events_may_be(self, customer: Customer) -> None:
        large = event("image_generation.completed", b64_json="A" * 9_000_000, usage=tokens(20, 6_240))
        async with raw_provider(says(OK_STREAM, chunked(large), b"0\r\n\r\n")) as provider:
            model = await draws(customer, base_url=provider.base_url("openai"))
            reply = await customer.send(body(model, prompt=PROMPT, stream=True), path=IMAGES)
        assert len(events(reply)[-1]["b64_json"]) == 9_000_000
        assert (await customer.one_row())["outcome"] == "completed"
