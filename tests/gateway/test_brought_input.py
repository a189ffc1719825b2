"""Tools that bring in what is billed as input, without bound: refused by name before anything is asked."""

from typing import Any

import orjson
import pytest
from gemini_caller import headers_of, path_of
from messages_caller import ask_messages
from proving import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestAnthropicsTools:
    @pytest.mark.parametrize(
        ("more", "param"),
        [
            ({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, "tools.0.type"),
            ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "tools.0.type"),
            ({"mcp_servers": [{"type": "url", "name": "x", "url": "https://x.example/sse"}]}, "mcp_servers"),
        ],
        ids=["fetch", "toolset", "servers"],
    )
    async def test_are_refused(self, customer: Customer, more: dict[str, Any], param: str) -> None:
        customer.fault("anthropic", "input_tokens=100000 output_tokens=20")
        reply = await ask_messages(customer, "anthropic", "hello there", **more)
        error = reply.json()["error"]
        assert (reply.status, error["code"], error["param"]) == (422, "unsupported_parameter", param)
        assert await customer.usage() == []


class TestGooglesTools:
    @pytest.mark.parametrize("spelled", ["urlContext", "url_context"])
    @pytest.mark.parametrize("kind", ["gemini", "openai"], ids=["passed", "translated"])
    async def test_are_refused(self, customer: Customer, kind: str, spelled: str) -> None:
        body = {"contents": [{"parts": [{"text": "sum up https://x.example/"}]}], "tools": [{spelled: {}}]}
        reply = await customer.send(
            orjson.dumps(body), path=path_of(customer, kind), headers=headers_of(customer)
        )
        assert reply.status == 422
        assert b"tools[0].urlContext" in reply.body
        assert await customer.usage() == []
