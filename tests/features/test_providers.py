from typing import Any

import pytest
import sqlalchemy as sa
from control_client import Client

from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import provider_credential
from bursar.features.providers.base_url import checked_base_url
from bursar.features.providers.kinds import KINDS, PLACES
from bursar.rest.control import Control
from bursar.rest.problems import Refusal

SECRET = "sk-proj-aaaaaaaaaaaaaaaaaaaaaaaax7Qa"


@pytest.fixture
async def provider(client: Client) -> dict[str, Any]:
    made = await client.post("/providers", {"slug": "openai", "kind": "openai"})
    assert isinstance(made, dict)
    return made


class TestCheckedBaseUrl:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("https://llm.example.com/v1/", "https://llm.example.com/v1"),
            ("https://LLM.example.com:8443/V1", "https://llm.example.com:8443/V1"),
            ("http://127.0.0.1:8090/openai/v1", "http://127.0.0.1:8090/openai/v1"),
            ("http://localhost:11434/v1", "http://localhost:11434/v1"),
            ("http://[::1]:8090/v1", "http://[::1]:8090/v1"),
            ("http://10.0.0.7/v1", "http://10.0.0.7/v1"),
            ("http://vllm.models.svc/v1", "http://vllm.models.svc/v1"),
        ],
    )
    def test_takes(self, given: str, kept: str) -> None:
        assert checked_base_url(given, "openai_compatible") == kept

    @pytest.mark.parametrize(
        "given",
        [
            None,
            "nowhere",
            "ftp://example.com/v1",
            "https://",
            "https:///v1",
            "http://api.example.com/v1",
            "http://8.8.8.8/v1",
            "https://user:secret@example.com/v1",
            "https://example.com/v1?key=secret",
            "https://example.com/v1#top",
            "https://example.com:99999/v1",
            "https://example.com:x/v1",
            "https://exa mple.com/v1",
            "https://exämple.com/v1",
            "https://[::1/v1",
            "javascript:alert(1)",
            "file:///etc/passwd",
        ],
    )
    def test_refuses(self, given: str | None) -> None:
        with pytest.raises(Refusal) as refused:
            checked_base_url(given, "openai_compatible")
        assert refused.value.code == "base_url_invalid"


class TestCreateProvider:
    async def test_knows_the_makers_own_address(self, client: Client) -> None:
        made = await client.post("/providers", {"slug": "claude", "kind": "anthropic"})
        assert (made["base_url"], made["name"]) == ("https://api.anthropic.com/v1", "claude")
        assert made["active"]

    @pytest.mark.parametrize(("kind", "aborts"), [("deepseek", True), ("groq", False)])
    async def test_knows_what_a_hang_up_does_at_its_kind(
        self,
        client: Client,
        kind: str,
        aborts: bool,  # noqa: FBT001 - drawn
    ) -> None:
        made = await client.post("/providers", {"slug": "a", "kind": kind})
        told = await client.post("/providers", {"slug": "b", "kind": kind, "aborts_stop_billing": not aborts})
        assert (made["aborts_stop_billing"], told["aborts_stop_billing"]) == (aborts, not aborts)

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if PLACES[kind].base_url is not None])
    async def test_every_kind_with_an_address_can_be_registered(self, client: Client, kind: str) -> None:
        made = await client.post("/providers", {"slug": "x", "kind": kind})
        assert checked_base_url(made["base_url"], made["kind"]) == made["base_url"]

    @pytest.mark.parametrize("kind", ["azure_openai", "vllm", "openai_compatible"])
    async def test_others_must_be_told_theirs(self, client: Client, kind: str) -> None:
        refused = await client.refused("POST", "/providers", {"slug": "x", "kind": kind})
        assert refused == "422 base_url_invalid"

    async def test_a_key_of_one_region_never_reaches_the_other(self, client: Client) -> None:
        abroad = {"slug": "glm", "kind": "zhipu", "base_url": "https://API.z.ai/api/paas/v4"}
        assert await client.refused("POST", "/providers", abroad) == "422 base_url_invalid"
        made = await client.post("/providers", {"slug": "glm", "kind": "zai"})
        moved = {"base_url": "https://open.bigmodel.cn/api/paas/v4"}
        refused = await client.refused("PATCH", f"/providers/{made['id']}", moved)
        assert refused == "422 base_url_invalid"

    async def test_refuses_a_base_url_that_is_none(self, client: Client) -> None:
        body = {"slug": "own", "kind": "openai_compatible", "base_url": "http://api.example.com/v1"}
        assert await client.refused("POST", "/providers", body) == "422 base_url_invalid"

    async def test_refuses_what_cannot_be(self, client: Client) -> None:
        wrong: list[dict[str, Any]] = [
            {"slug": "Open AI", "kind": "openai"},
            {"slug": "x", "kind": "bard"},
            {"slug": "x" * 41, "kind": "openai"},
            {"slug": "x", "kind": "openai", "timeouts": {"connect_ms": 0}},
            {"slug": "x", "kind": "openai", "timeouts": {"connect": 5}},
            {"slug": "x", "kind": "openai", "base_url": "https://e.com/" + "x" * 300},
            {"slug": "x", "kind": "openai", "base_url": "https://e\u0000.com/"},
        ]
        for body in wrong:
            refused = await client.refused("POST", "/providers", body)
            assert refused in {"422 invalid_request", "422 base_url_invalid"}, body

    async def test_a_short_name_is_taken_once(self, client: Client, provider: dict[str, Any]) -> None:
        body = {"slug": provider["slug"], "kind": "anthropic"}
        assert await client.refused("POST", "/providers", body) == "409 provider_exists"


class TestChangeProvider:
    async def test_changes_only_what_is_given(self, client: Client, provider: dict[str, Any]) -> None:
        path = f"/providers/{provider['id']}"
        changed = await client.call(
            "PATCH", path, {"active": False, "timeouts": {"idle_ms": 5}, "aborts_stop_billing": False}
        )
        assert changed == {
            **provider,
            "active": False,
            "timeouts": {"idle_ms": 5},
            "aborts_stop_billing": False,
        }
        assert await client.call("PATCH", path, {}) == changed
        moved = await client.call("PATCH", path, {"base_url": "http://localhost:1/v1"})
        assert moved["base_url"] == "http://localhost:1/v1"
        assert await client.refused("PATCH", path, {"base_url": "x"}) == "422 base_url_invalid"

    async def test_an_unknown_one_is_not_found(self, client: Client) -> None:
        path = "/providers/00000000-0000-0000-0000-000000000001"
        assert await client.refused("GET", path) == "404 provider_not_found"
        assert await client.refused("PATCH", path, {"active": True}) == "404 provider_not_found"
        assert await client.refused("GET", f"{path}/credentials") == "404 provider_not_found"
        assert await client.refused("POST", f"{path}/credentials", {"secret": SECRET}) == (
            "404 provider_not_found"
        )


class TestCredentials:
    async def test_go_in_sealed_and_never_come_out(
        self, client: Client, control: Control, provider: dict[str, Any]
    ) -> None:
        path = f"/providers/{provider['id']}/credentials"
        made = await client.post(path, {"secret": f" {SECRET}\n"})
        assert made["hint"] == "…x7Qa"
        everything = [made, await client.get(path), await client.get("/providers")]
        assert SECRET not in str(everything)
        gateway = Database(control.database.url, Role.GATEWAY)  # nobody else may read what is sealed
        async with gateway.read() as read:
            row = (await read.execute(sa.select(provider_credential))).mappings().one()
        await gateway.close()
        assert SECRET.encode() not in bytes(row["sealed"])
        assert control.seal.open(bytes(row["sealed"])) == SECRET.encode()

    async def test_a_short_secret_gives_no_hint(self, client: Client, provider: dict[str, Any]) -> None:
        made = await client.post(f"/providers/{provider['id']}/credentials", {"secret": "short"})
        assert made["hint"] == "…"

    async def test_refuse_what_no_header_carries(self, client: Client, provider: dict[str, Any]) -> None:
        path = f"/providers/{provider['id']}/credentials"
        for secret in ("", "   ", "two\nlines", "ключ", "x" * 4097, 5, None):
            refused = await client.refused("POST", path, {"secret": secret})
            assert refused in {"422 credential_invalid", "422 invalid_request"}, secret

    async def test_are_listed_in_the_order_they_are_tried(
        self, client: Client, provider: dict[str, Any]
    ) -> None:
        path = f"/providers/{provider['id']}/credentials"
        second = await client.post(path, {"secret": SECRET})
        first = await client.post(path, {"secret": SECRET + "b", "priority": 1})
        assert [one["id"] for one in await client.get(path)] == [first["id"], second["id"]]
        off = await client.call("PATCH", f"{path}/{first['id']}", {"active": False, "priority": 200})
        assert (off["active"], off["priority"]) == (False, 200)
        assert [one["id"] for one in await client.get(path)] == [second["id"], first["id"]]

    async def test_of_another_provider_are_not_found(self, client: Client, provider: dict[str, Any]) -> None:
        made = await client.post(f"/providers/{provider['id']}/credentials", {"secret": SECRET})
        other = await client.post("/providers", {"slug": "other", "kind": "anthropic"})
        path = f"/providers/{other['id']}/credentials/{made['id']}"
        assert await client.refused("PATCH", path, {"active": False}) == "404 credential_not_found"

    async def test_are_not_without_end(self, client: Client, provider: dict[str, Any]) -> None:
        path = f"/providers/{provider['id']}/credentials"
        for _ in range(100):
            await client.post(path, {"secret": SECRET})
        assert await client.refused("POST", path, {"secret": SECRET}) == "409 too_many_credentials"
