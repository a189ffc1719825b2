"""Every operation of the API document, called with what nobody should send: refused, and never a 5xx."""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from control_client import Client

from bursar.entrypoints.api import openapi_document

HOSTILE: list[Any] = [
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    -(2**63) - 1,
    1e308,
    0.1,
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "NaN",
    "\u0000",
    "\ud800",
    "'; DROP TABLE organisation; --",
    "%s%n{0}${jndi:ldap://x}",
    "../../../etc/passwd",
    "٣٤",
    "\u202e\u2066x",
    "x" * 20_000,
    "9" * 40,
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+14:00",
    "00000000-0000-0000-0000-000000000000",
    [],
    [None],
    [[[[]]]],
    {},
    {"a": {"b": {}}},
    ["x"] * 300,
]
VALID = {
    "name": "ok",
    "amount": "1",
    "secret": "sk-aaaaaaaaaaaaaaaa",
    "kind": "openai",
    "slug": "fuzz",
    "model": "m",
    "meter": "in_fresh",
    "sale": "1",
    "cost": "1",
    "id": "m",
    "billing_type": "prepaid",
    "grace_period_s": 1,
}
PICKED_PER_PROPERTY = 7
AT_ONCE = 8


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    content: bytes | None


def dump(value: Any) -> bytes:
    """JSON as Python writes it: lone surrogates and huge numbers included."""
    return json.dumps(value).encode()


def calls(document: dict[str, Any], known: dict[str, str]) -> Iterator[Call]:
    """Hostile calls of every operation; seeded, so a failure repeats."""
    dice = random.Random(20261120)
    for path, methods in document["paths"].items():
        real = path
        for name, value in known.items():
            real = real.replace(f"{{{name}}}", value)
        for method, operation in methods.items():
            schema = body_schema(document, operation)
            wholes = [b"", b"{", b"\xff", b"[]", b"null", b"1e999", b"[" * 3000]
            for whole in wholes if schema is not None else ():
                yield Call(method, real, whole)
            for name in schema["properties"] if schema else ():
                good = {
                    required: VALID.get(required, known.get(required, "x")) for required in schema["required"]
                }
                for value in dice.sample(HOSTILE, PICKED_PER_PROPERTY):
                    yield Call(method, real, dump({**good, name: value}))
            for parameter in operation.get("parameters", ()):
                for value in dice.sample(HOSTILE, PICKED_PER_PROPERTY):
                    yield from in_address(method, path, parameter, value, known)


def body_schema(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any] | None:
    if "requestBody" not in operation:
        return None
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return {"properties": schema.get("properties", {}), "required": schema.get("required", [])}


def in_address(
    method: str, path: str, parameter: dict[str, Any], value: Any, known: dict[str, str]
) -> Iterator[Call]:
    """A hostile query or path parameter; the other path parameters are real."""
    text = quote(str(value).encode("utf-8", "surrogatepass"), safe="")[:5_000]
    body = None if method == "get" else b"{}"
    changed = path
    if parameter["in"] == "path":
        changed = changed.replace(f"{{{parameter['name']}}}", text)
    for name, right in known.items():
        changed = changed.replace(f"{{{name}}}", right)
    if parameter["in"] == "query":
        changed = f"{changed}?{parameter['name']}={text}"
    yield Call(method, changed, body)


class TestHostileCalls:
    async def test_are_refused_and_never_break_the_server(
        self, client: Client, organisation: dict[str, Any]
    ) -> None:
        key = await client.post(f"/organisations/{organisation['id']}/keys", {"name": "fuzz"})
        provider = await client.post("/providers", {"slug": "openai", "kind": "openai"})
        credential = await client.post(
            f"/providers/{provider['id']}/credentials", {"secret": "sk-fuzz-12345678"}
        )
        await client.post("/models", {"id": "gpt-4o"})
        route = await client.post("/routes", {"model_id": "gpt-4o", "provider_id": provider["id"]})
        topped = await client.post(
            f"/organisations/{organisation['id']}/wallet/top-ups", {"amount": "5"}, key="fuzz"
        )
        token = await client.post("/operator-tokens", {"name": "fuzz"})
        known = {
            "organisation_id": organisation["id"],
            "key_id": key["id"],
            "provider_id": provider["id"],
            "credential_id": credential["id"],
            "route_id": route["id"],
            "model_id": "gpt-4o",
            "transaction_id": str(topped["id"]),
            "token_id": token["id"],
            "request_id": key["id"],
            "price_id": "1",
        }
        wanted = list(calls(orjson.loads(openapi_document()), known))
        assert len(wanted) > 1_000
        broken: list[str] = []

        async def one(number: int, call: Call) -> None:
            answer = await client.http.request(
                call.method.upper(),
                call.path,
                content=call.content,
                headers={"content-type": "application/json", "idempotency-key": f"fuzz-{number}"},
            )
            is_problem = answer.headers.get("content-type") == "application/problem+json"
            if answer.status_code >= 500 or (answer.status_code >= 400 and not is_problem):
                broken.append(f"{answer.status_code} {call.method} {call.path[:200]} {call.content!r:.200}")

        for start in range(0, len(wanted), AT_ONCE):
            batch = wanted[start : start + AT_ONCE]
            await asyncio.gather(*(one(start + number, call) for number, call in enumerate(batch)))
        assert broken == []
        wallet = await client.get(f"/organisations/{organisation['id']}/wallet")
        assert float(wallet["balance"]) >= 0
