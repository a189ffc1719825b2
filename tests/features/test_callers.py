"""Who may call: a wrong token learns nothing. That every route asks for one: `test_isolation`."""

from typing import Any

import httpx2
import pytest
from control_client import Client, SettableClock

from bursar.entrypoints.api import build_api, openapi_document
from bursar.rest.control import Control


class TestAuthentication:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": "Bearer"},
            {"authorization": "Bearer "},
            {"authorization": "Bearer nonsense"},
            {"authorization": "Bearer bursar_op_" + "a" * 40},
            {"authorization": "Bearer " + "x" * 5000},
            {"authorization": "Basic dXNlcjpwYXNz"},
            {"authorization": "Bearer \u00e9\u00e9"},
            {"x-api-key": "llm_sk_whatever"},
        ],
    )
    async def test_a_wrong_token_opens_nothing(
        self, anonymous: httpx2.AsyncClient, headers: dict[str, str]
    ) -> None:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = await anonymous.get("/api/v1/organisations", headers=raw)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == "invalid_token"

    async def test_a_revoked_token_opens_nothing(self, client: Client) -> None:
        (mine,) = (await client.get("/operator-tokens"))["items"]
        revoked = await client.post(f"/operator-tokens/{mine['id']}/revoke", status=200)
        assert revoked["revoked_at"] is not None
        assert await client.refused("GET", "/operator-tokens") == "401 invalid_token"

    async def test_a_token_opens_until_it_expires(
        self, client: Client, anonymous: httpx2.AsyncClient, clock: SettableClock
    ) -> None:
        made = await client.post("/operator-tokens", {"name": "guest", "expires_at": "2099-01-01T00:00:00Z"})
        headers = {"authorization": f"Bearer {made['secret']}"}
        assert (await anonymous.get("/api/v1/models", headers=headers)).status_code == 200
        clock.ahead_ms = 80 * 366 * 86_400_000
        assert (await anonymous.get("/api/v1/models", headers=headers)).status_code == 401


class TestOperatorTokens:
    async def test_are_shown_once(self, client: Client) -> None:
        made = await client.post("/operator-tokens", {"name": "Ben"})
        assert made["secret"].startswith("bursar_op_")
        assert made["visible"] == made["secret"][:13]
        listed = await client.get("/operator-tokens")
        assert [one["name"] for one in listed["items"]] == ["Ben", "Ana"]
        assert made["secret"] not in str(listed)

    async def test_refuse_what_cannot_be(self, client: Client) -> None:
        past = {"name": "x", "expires_at": "2001-01-01T00:00:00Z"}
        assert await client.refused("POST", "/operator-tokens", past) == "422 expiry_past"
        unknown = "/operator-tokens/00000000-0000-0000-0000-000000000001/revoke"
        assert await client.refused("POST", unknown) == "404 operator_token_not_found"


class TestDocuments:
    async def test_the_page_fetches_nothing_from_elsewhere(self, anonymous: httpx2.AsyncClient) -> None:
        page = (await anonymous.get("/docs")).text
        assert "https://" not in page
        assert "http://" not in page
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
            assert f"/docs/assets/{asset}" in page
            answer = await anonymous.get(f"/docs/assets/{asset}")
            assert answer.status_code == 200
            assert len(answer.content) > 1000

    def test_the_written_document_is_the_served_one(self, control: Control) -> None:
        import orjson

        assert orjson.loads(openapi_document()) == build_api(control).openapi()

    def test_every_operation_has_its_own_name(self) -> None:
        import orjson

        document = orjson.loads(openapi_document())
        names: list[Any] = [
            operation["operationId"]
            for methods in document["paths"].values()
            for operation in methods.values()
        ]
        assert len(set(names)) == len(names)
        assert {"create_organisation", "import_prices", "explain_usage"} <= set(names)

    def test_problems_are_documented(self) -> None:
        import orjson

        document = orjson.loads(openapi_document())
        answers = document["paths"]["/api/v1/organisations/{organisation_id}"]["get"]["responses"]
        assert {"200", "401", "404", "422", "503"} <= set(answers)
        assert "application/problem+json" in answers["404"]["content"]
