"""A caller's fallback list works in every dialect he may write his request in."""

from typing import Any

import orjson
import pytest
from proving import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 50},
    "/v1/responses": {"input": "hello"},
    "/v1beta/models/{model}:generateContent": {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
}


async def ask(customer: Customer, path: str, model: str, headers: dict[str, str], **more: Any) -> Any:
    body = {**ASKED[path], **more}
    if "{model}" not in path:
        body["model"] = model
    return await customer.send(
        orjson.dumps(body), path=path.format(model=model), headers={**customer.authorization, **headers}
    )


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("first", ["openai", "anthropic", "openai_compatible"])
class TestAFallbackList:
    @pytest.mark.parametrize("in_body", [False, True], ids=["header", "body"])
    async def test_is_heard(self, customer: Customer, path: str, first: str, *, in_body: bool) -> None:
        second = "anthropic" if first != "anthropic" else "openai"
        one, other = await customer.serve(first), await customer.serve(second)
        customer.fault(first, "status=500")
        if in_body:
            reply = await ask(customer, path, one, {}, models=[other])
        else:
            reply = await ask(customer, path, one, {"x-bursar-models": other})
        assert (reply.status, reply.headers["x-bursar-model"]) == (200, other)
        assert [row["model"] for row in await customer.usage()] == [one, other]
        assert b'"models"' not in customer.stack.simulator.log.exchanges[-1].body

    async def test_of_the_wrong_shape_is_refused_in_his_dialect(
        self, customer: Customer, path: str, first: str
    ) -> None:
        model = await customer.serve(first)
        reply = await ask(customer, path, model, {}, models="m")
        assert reply.status in {400, 422}
        assert "models" in reply.json()["error"]["message"]
        assert await customer.usage() == []
