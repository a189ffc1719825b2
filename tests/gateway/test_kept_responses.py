"""Answers that an organisation lets us keep: continued, shown, deleted; what happens when keeping fails."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import openai
import orjson
import pytest
import pytest_asyncio
from proving import KINDS, Customer, SharedStack, input_estimate, new_customer

from bursar.core.kept import KeptResponse
from bursar.db.line import BooksUnavailable
from bursar.gateway import kept

pytestmark = pytest.mark.asyncio(loop_scope="module")

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def let_keep(customer: Customer, *, allowed: bool = True) -> None:
    await customer.change(
        "UPDATE organisation SET store_responses = %s WHERE id = %s", [allowed, customer.organisation_id]
    )


@pytest_asyncio.fixture(loop_scope="module")
async def client(customer: Customer) -> AsyncIterator[Any]:
    """Of an organisation whose answers are kept."""
    await let_keep(customer)
    async with openai.AsyncOpenAI(api_key=customer.key, base_url=customer.stack.url, max_retries=0) as gpt:
        yield gpt


async def ask(client: Any, *, stream: bool, **asked: Any) -> Any:
    """The response, and for a stream the events' own word for it."""
    if not stream:
        return await client.responses.create(**asked)
    events = [event async for event in await client.responses.create(**asked, stream=True)]
    assert events[0].response.to_dict()["store"] is (asked.get("store") is not False)
    return events[-1].response


def sent_upstream(customer: Customer) -> Any:
    """The body of the last request that a simulated provider got."""
    return orjson.loads(customer.stack.simulator.log.exchanges[-1].body)


async def kept_rows(customer: Customer) -> int:
    """How many answers of this organisation can be read, by the role that may."""
    ids = [row["provider_request_id"] for row in await customer.usage()]
    found = 0
    for identity in [*ids, *(f"resp_{row['request_id'].hex}" for row in await customer.usage())]:
        chain = await customer.gw.responses.chain(
            customer.organisation_id, identity or "-", most=1, bytes_max=10**9
        )
        found += len(chain)
    return found


@every_kind
@streamed_or_not
class TestContinuing:
    async def test_sends_along_what_was_said(
        self, customer: Customer, client: Any, kind: str, *, stream: bool
    ) -> None:
        model = customer.models[kind]
        first = await ask(
            client, stream=stream, model=model, input="[[sim:echo]]My name is Ann.", instructions="Be brief."
        )
        second = await ask(
            client, stream=stream, model=model, input="[[sim:echo]]And?", previous_response_id=first.id
        )
        third = await ask(
            client, stream=stream, model=model, input="[[sim:echo]]So?", previous_response_id=second.id
        )
        assert (second.previous_response_id, third.previous_response_id) == (first.id, second.id)
        assert third.to_dict()["store"] is True
        texts = orjson.dumps(sent_upstream(customer)).decode()
        places = [texts.index(said) for said in ("My name is Ann.", '"And?', "]And?", "]So?")]
        assert places[0] < places[2] < places[3]
        assert "Be brief." not in texts  # instructions are not carried over
        assert third.output_text == "So?"

    async def test_is_held_for_with_all_that_was_said(
        self, customer: Customer, client: Any, kind: str, *, stream: bool
    ) -> None:
        model = customer.models[kind]
        long = "word " * 600
        first = await ask(client, stream=stream, model=model, input=long)
        customer.fault(kind, "no_usage text=fine")
        await ask(client, stream=stream, model=model, input="And?", previous_response_id=first.id)
        estimated = (await customer.usage())[-1]
        assert estimated["outcome"] == "usage_missing"
        assert estimated["input_tokens"] > len(long) // 3

    async def test_goes_on_after_a_tool_call(
        self, customer: Customer, client: Any, kind: str, *, stream: bool
    ) -> None:
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
        tool = {"type": "function", "name": "get_weather", "strict": False, "parameters": parameters}
        asked = {"model": customer.models[kind], "tools": [tool]}
        first = await ask(client, stream=stream, input="What is the weather in Oslo?", **asked)
        (call,) = first.output
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "-3 degrees"}
        second = await ask(client, stream=stream, input=[result], previous_response_id=first.id, **asked)
        assert "-3 degrees" in second.output_text


@streamed_or_not
class TestAcrossProviders:
    async def test_a_conversation_moves_on(self, customer: Customer, client: Any, *, stream: bool) -> None:
        previous = None
        for kind in ("openai", "anthropic", "openai_compatible", "openai"):
            answer = await ask(
                client,
                stream=stream,
                model=customer.models[kind],
                input=f"[[sim:echo]]Hello {kind}.",
                previous_response_id=previous,
            )
            assert answer.output_text == f"Hello {kind}."
            previous = answer.id

    async def test_reasoning_goes_back_to_who_reasoned_and_to_nobody_else(
        self, customer: Customer, client: Any, *, stream: bool
    ) -> None:
        claude = await customer.serve("anthropic", provider_model="claude-sonnet-4-5", output_tokens_max=8000)
        gpt = await customer.serve("openai", provider_model="gpt-5")
        effort = {"effort": "low", "summary": "auto"}
        first = await ask(client, stream=stream, model=claude, input="One?", reasoning=effort)
        assert first.output[0].encrypted_content.startswith("bursar.signed.")
        second = await ask(
            client, stream=stream, model=gpt, input="Two?", reasoning=effort, previous_response_id=first.id
        )
        kinds = [item.get("type") for item in sent_upstream(customer)["input"]]
        assert "reasoning" not in kinds
        third = await ask(
            client, stream=stream, model=gpt, input="Three?", reasoning=effort, previous_response_id=second.id
        )
        assert [i.get("type") for i in sent_upstream(customer)["input"]].count("reasoning") == 1
        await ask(
            client,
            stream=stream,
            model=claude,
            input="Four?",
            reasoning=effort,
            previous_response_id=third.id,
        )
        thoughts = [
            block
            for message in sent_upstream(customer)["messages"]
            for block in message["content"]
            if block["type"] == "thinking"
        ]
        assert len(thoughts) == 1


@every_kind
class TestShowing:
    @streamed_or_not
    async def test_gives_the_answer_as_it_was(
        self, customer: Customer, client: Any, kind: str, *, stream: bool
    ) -> None:
        answer = await ask(
            client, stream=stream, model=customer.models[kind], input="Hello", metadata={"a": "b"}
        )
        shown = await client.responses.retrieve(answer.id)
        assert shown.to_dict() == answer.to_dict()
        assert shown.metadata == {"a": "b"}

    async def test_lists_the_input(self, customer: Customer, client: Any, kind: str) -> None:
        said = [{"role": "user", "content": f"Part {number}"} for number in range(5)]
        answer = await client.responses.create(model=customer.models[kind], input=said)
        newest = await client.responses.input_items.list(answer.id, limit=2)
        assert [item.content[0].text for item in newest.data] == ["Part 4", "Part 3"]
        everything = [
            item.content[0].text
            async for item in client.responses.input_items.list(answer.id, limit=2, order="asc")
        ]
        assert everything == [f"Part {number}" for number in range(5)]

    async def test_ends_with_deletion(self, customer: Customer, client: Any, kind: str) -> None:
        answer = await client.responses.create(model=customer.models[kind], input="Hello")
        await client.responses.delete(answer.id)
        for asked in (
            client.responses.retrieve(answer.id),
            client.responses.delete(answer.id),
            client.responses.input_items.list(answer.id),
            client.responses.create(
                model=customer.models[kind], input="And?", previous_response_id=answer.id
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                await asked


class TestWhoMay:
    async def test_another_organisation_finds_nothing(
        self, customer: Customer, client: Any, shared_stack: SharedStack
    ) -> None:
        answer = await client.responses.create(model=customer.models["openai"], input="Hello")
        async with new_customer(shared_stack) as other:
            await let_keep(other)
            async with openai.AsyncOpenAI(
                api_key=other.key, base_url=other.stack.url, max_retries=0
            ) as stranger:
                for asked in (
                    stranger.responses.retrieve(answer.id),
                    stranger.responses.delete(answer.id),
                    stranger.responses.create(
                        model=other.models["openai"], input="And?", previous_response_id=answer.id
                    ),
                ):
                    with pytest.raises(openai.NotFoundError) as refused:
                        await asked
                    assert refused.value.code in {"response_not_found", "previous_response_not_found"}
            assert await other.usage() == []
        assert (await client.responses.retrieve(answer.id)).id == answer.id

    @streamed_or_not
    async def test_nobody_who_said_no(self, customer: Customer, client: Any, *, stream: bool) -> None:
        answer = await ask(
            client, stream=stream, model=customer.models["anthropic"], input="Hello", store=False
        )
        assert answer.to_dict()["store"] is False
        assert await kept_rows(customer) == 0

    @streamed_or_not
    async def test_nobody_unless_the_organisation_wants_it(
        self, customer: Customer, client: Any, *, stream: bool
    ) -> None:
        await let_keep(customer, allowed=False)
        answer = await ask(
            client, stream=stream, model=customer.models["anthropic"], input="Hello", store=False
        )
        assert await kept_rows(customer) == 0
        with pytest.raises(openai.NotFoundError, match="keeps no responses"):
            await client.responses.retrieve(answer.id)
        with pytest.raises(openai.UnprocessableEntityError, match="keeps no responses"):
            await client.responses.create(model=customer.models["anthropic"], input="Hello", store=True)

    @pytest.mark.parametrize("path", ["resp_1/nothing", "%00", "x" * 200, "", "resp_1?stream=true"])
    async def test_what_makes_no_sense_is_refused(self, customer: Customer, client: Any, path: str) -> None:
        reply = await customer.send(b"", path=f"/v1/responses/{path}", method="GET")
        assert reply.status in {404, 422}, client
        assert reply.error["code"]

    async def test_other_methods_are_not_allowed(self, customer: Customer) -> None:
        reply = await customer.send(b"{}", path="/v1/responses/resp_1/cancel")
        assert (reply.status, reply.headers["allow"]) == (405, "GET, DELETE")

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=101", "order=up"])
    async def test_pages_have_bounds(self, customer: Customer, client: Any, query: str) -> None:
        answer = await client.responses.create(model=customer.models["openai"], input="Hello")
        path = f"/v1/responses/{answer.id}/input_items?{query}"
        reply = await customer.send(b"", path=path, method="GET")
        assert (reply.status, reply.error["param"]) == (422, query.partition("=")[0])


class Trouble:
    """A store that cannot keep anything."""

    unavailable = BooksUnavailable

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def keep(self, organisation_id: UUID, response: KeptResponse) -> bool:
        if self._error is None:
            await asyncio.Event().wait()
            raise AssertionError((organisation_id, response))
        raise self._error

    async def chain(self, *_: object, **__: object) -> Any:
        raise BooksUnavailable("away")

    async def forget(self, *_: object) -> bool:
        raise BooksUnavailable("away")


@every_kind
@streamed_or_not
class TestWhenKeepingFails:
    @pytest.mark.parametrize(
        "error", [BooksUnavailable("away"), ValueError("odd"), None], ids=["away", "odd", "slow"]
    )
    async def test_the_answer_goes_out_and_is_booked(  # noqa: PLR0913 - each a property of the trouble
        self,
        customer: Customer,
        client: Any,
        kind: str,
        error: Exception | None,
        monkeypatch: pytest.MonkeyPatch,
        *,
        stream: bool,
    ) -> None:
        monkeypatch.setattr(kept, "KEEP_WAIT_S", 0.05)
        monkeypatch.setattr(customer.gw, "responses", Trouble(error))
        answer = await ask(client, stream=stream, model=customer.models[kind], input="Hello")
        row = await customer.one_row()
        assert answer.output_text
        assert answer.to_dict()["store"] is False
        assert row["outcome"] == "completed"
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (
            row["input_tokens"],
            row["output_tokens"],
        )

    async def test_of_an_answer_too_long(
        self,
        customer: Customer,
        client: Any,
        kind: str,
        monkeypatch: pytest.MonkeyPatch,
        *,
        stream: bool,
    ) -> None:
        monkeypatch.setattr(kept, "KEPT_BYTES_MAX", 500)
        answer = await ask(client, stream=stream, model=customer.models[kind], input="Hello")
        assert answer.to_dict()["store"] is False
        assert await kept_rows(customer) == 0


class TestWhenTheStoreIsAway:
    async def test_nothing_is_begun_that_refers_to_it(
        self, customer: Customer, client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(customer.gw, "responses", Trouble(BooksUnavailable("away")))
        for asked in (
            client.responses.create(model=customer.models["openai"], input="x", previous_response_id="r"),
            client.responses.retrieve("r"),
            client.responses.delete("r"),
        ):
            with pytest.raises(openai.InternalServerError) as refused:
                await asked
            assert refused.value.status_code == 503
        assert await customer.usage() == []


class TestAConversationTooLong:
    async def test_is_refused_by_name(
        self, customer: Customer, client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = await client.responses.create(model=customer.models["openai"], input="Hello")
        monkeypatch.setattr(kept, "HISTORY_BYTES_MAX", 100)
        with pytest.raises(openai.APIStatusError) as refused:
            await client.responses.create(
                model=customer.models["openai"], input="And?", previous_response_id=first.id
            )
        assert (refused.value.status_code, refused.value.code) == (413, "previous_response_too_long")

    async def test_whose_beginning_is_gone_names_it(self, customer: Customer, client: Any) -> None:
        model = customer.models["openai"]
        first = await client.responses.create(model=model, input="Hello")
        second = await client.responses.create(model=model, input="And?", previous_response_id=first.id)
        await client.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError, match=first.id):
            await client.responses.create(model=model, input="So?", previous_response_id=second.id)


class TestCounting:
    """`POST /v1/responses/input_tokens` is free, and counts what a request continues."""

    async def test_at_openai_is_openais_own(self, customer: Customer, client: Any) -> None:
        model = customer.models["openai"]
        counted = await client.responses.input_tokens.count(model=model, input="Hello", instructions="Brief.")
        assert await customer.usage() == []
        answer = await client.responses.create(model=model, input="Hello", instructions="Brief.")
        assert (counted.object, counted.input_tokens) == ("response.input_tokens", answer.usage.input_tokens)
        more = await client.responses.input_tokens.count(
            model=model, input="And?", previous_response_id=answer.id
        )
        assert more.input_tokens > counted.input_tokens

    @pytest.mark.parametrize("kind", ["anthropic", "openai_compatible"])
    async def test_elsewhere_is_our_estimate(self, customer: Customer, client: Any, kind: str) -> None:
        counted = await client.responses.input_tokens.count(model=customer.models[kind], input="Hello")
        assert (counted.object, counted.input_tokens) == ("response.input_tokens", input_estimate("Hello"))
        assert counted.to_dict()["estimated"] is True

    async def test_refuses_what_cannot_be_asked(self, customer: Customer, client: Any) -> None:
        with pytest.raises(openai.UnprocessableEntityError):
            await client.responses.input_tokens.count(
                model=customer.models["openai"], input="Hello", tools=[{"type": "web_search"}]
            )
        with pytest.raises(openai.NotFoundError):
            await client.responses.input_tokens.count(
                model=customer.models["openai"], input="Hello", previous_response_id="resp_x"
            )


class TestAHangUp:
    async def test_leaves_nothing_kept(self, customer: Customer, client: Any) -> None:
        customer.fault("openai", "slow_ms_per_event=20")
        payload = {"model": customer.models["openai"], "input": "Hello", "stream": True}
        async with customer.calling() as caller:
            await caller.post("/v1/responses", orjson.dumps(payload), customer.authorization)
            await caller.until(b"response.output_text.delta")
            caller.reset()
        row = await customer.one_row()
        assert row["outcome"] == "hangup_midstream", client
        assert await kept_rows(customer) == 0
