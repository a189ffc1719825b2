"""Own credentials, routing rules and platform fees, over the control plane."""

from typing import Any

import pytest
import sqlalchemy as sa
from control_client import Client, SettableClock

from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import own_credential
from bursar.features.own_keys.secret_shape import checked_secret
from bursar.rest.control import Control
from bursar.rest.problems import Refusal

SECRET = "sk-proj-bbbbbbbbbbbbbbbbbbbbbbbbx7Qa"
NOBODY = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
async def provider(client: Client) -> dict[str, Any]:
    made = await client.post("/providers", {"slug": "openai", "kind": "openai"})
    assert isinstance(made, dict)
    return made


@pytest.fixture
def own(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}/own-credentials"


@pytest.fixture
def rules(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}/routing"


async def sealed_of(control: Control) -> list[bytes]:
    """What gateways read."""
    gateway = Database(control.database.url, Role.GATEWAY)
    async with gateway.read() as read:
        rows = (await read.execute(sa.select(own_credential.c.sealed))).scalars().all()
    await gateway.close()
    return [bytes(row) for row in rows]


class TestCheckedSecret:
    @pytest.mark.parametrize(
        ("secret", "base_url"),
        [
            ("sk-proj-abcdefgh", "https://api.openai.com/v1"),
            ("  sk-abcdefgh\n", "https://api.openai.com/v1"),
            ("sk-ant-abcdefgh", "https://api.anthropic.com/v1"),
            ("anything-at-all", "https://llm.example.com/v1"),
            ("AIzaSyAbcdefgh", "https://generativelanguage.googleapis.com/v1beta"),
        ],
    )
    def test_takes(self, secret: str, base_url: str) -> None:
        assert checked_secret(secret, base_url, "llm_sk_") == secret.strip()

    @pytest.mark.parametrize(
        ("secret", "base_url"),
        [
            ("", "https://llm.example.com/v1"),
            ("short", "https://llm.example.com/v1"),
            ("two words here", "https://llm.example.com/v1"),
            ("line\nbreak-inside", "https://llm.example.com/v1"),
            ("ключ-ключ-ключ", "https://llm.example.com/v1"),
            ("llm_sk_" + "k" * 40, "https://llm.example.com/v1"),
            ("sk-ant-abcdefgh", "https://api.openai.com/v1"),
            ("sk-or-abcdefgh", "https://api.openai.com/v1"),
            ("sk-proj-abcdefgh", "https://api.anthropic.com/v1"),
            ("pk-abcdefgh", "https://api.openai.com/v1"),
        ],
    )
    def test_refuses(self, secret: str, base_url: str) -> None:
        with pytest.raises(Refusal) as refused:
            checked_secret(secret, base_url, "llm_sk_")
        assert refused.value.code == "credential_invalid"
        assert secret.strip() == "" or secret.strip() not in refused.value.detail


class TestOwnCredentials:
    async def test_go_in_sealed_and_never_come_out(
        self, client: Client, control: Control, own: str, provider: dict[str, Any]
    ) -> None:
        made = await client.post(own, {"provider_id": provider["id"], "secret": f" {SECRET}\n"})
        assert (made["hint"], made["provider"], made["name"]) == ("…x7Qa", "openai", "openai")
        everything = [made, await client.get(own), await client.get(f"{own}/{made['id']}")]
        assert SECRET not in str(everything)
        (sealed,) = await sealed_of(control)
        assert SECRET.encode() not in sealed
        assert control.seal.open(sealed) == SECRET.encode()

    async def test_are_made_once_for_one_idempotency_key(
        self, client: Client, own: str, provider: dict[str, Any]
    ) -> None:
        body = {"provider_id": provider["id"], "secret": SECRET}
        made = await client.post(own, body, key="once")
        assert await client.post(own, body, key="once") == made
        assert len(await client.get(own)) == 1

    async def test_rotate_in_place(
        self, client: Client, control: Control, own: str, provider: dict[str, Any]
    ) -> None:
        made = await client.post(own, {"provider_id": provider["id"], "secret": SECRET, "name": "main"})
        new = "sk-proj-ccccccccccccccccccccccccxNEW"
        rotated = await client.post(f"{own}/{made['id']}/rotate", {"secret": new}, status=200)
        assert rotated == {**made, "hint": "…xNEW", "rotated_at": rotated["rotated_at"]}
        assert rotated["rotated_at"] is not None
        (sealed,) = await sealed_of(control)
        assert control.seal.open(sealed) == new.encode()
        refused = await client.refused("POST", f"{own}/{made['id']}/rotate", {"secret": "sk-ant-abcdefgh"})
        assert refused == "422 credential_invalid"

    async def test_are_switched_off_renamed_and_moved(
        self, client: Client, own: str, provider: dict[str, Any]
    ) -> None:
        made = await client.post(own, {"provider_id": provider["id"], "secret": SECRET})
        changes = {"active": False, "name": "old", "priority": 7}
        changed = await client.call("PATCH", f"{own}/{made['id']}", changes)
        assert changed == {**made, **changes}
        assert await client.call("PATCH", f"{own}/{made['id']}", {}) == changed

    async def test_are_forgotten_with_their_secret(
        self, client: Client, control: Control, own: str, provider: dict[str, Any]
    ) -> None:
        made = await client.post(own, {"provider_id": provider["id"], "secret": SECRET})
        assert await client.call("DELETE", f"{own}/{made['id']}") == made
        assert await client.get(own) == []
        assert await sealed_of(control) == []
        assert await client.refused("DELETE", f"{own}/{made['id']}") == "404 credential_not_found"

    async def test_are_listed_in_the_order_they_are_tried(
        self, client: Client, own: str, provider: dict[str, Any]
    ) -> None:
        second = await client.post(own, {"provider_id": provider["id"], "secret": SECRET})
        first = await client.post(own, {"provider_id": provider["id"], "secret": SECRET, "priority": 1})
        assert [one["id"] for one in await client.get(own)] == [first["id"], second["id"]]

    async def test_of_another_organisation_do_not_exist(
        self, client: Client, own: str, provider: dict[str, Any]
    ) -> None:
        made = await client.post(own, {"provider_id": provider["id"], "secret": SECRET})
        other = await client.post("/organisations", {"name": "Other"})
        theirs = f"/organisations/{other['id']}/own-credentials"
        assert await client.get(theirs) == []
        for method, path, body in (
            ("GET", f"{theirs}/{made['id']}", None),
            ("PATCH", f"{theirs}/{made['id']}", {"active": False}),
            ("DELETE", f"{theirs}/{made['id']}", None),
            ("POST", f"{theirs}/{made['id']}/rotate", {"secret": SECRET}),
        ):
            assert await client.refused(method, path, body) == "404 credential_not_found"
        assert await client.get(own) == [made]

    async def test_need_an_organisation_and_a_provider_that_are_there(
        self, client: Client, own: str, provider: dict[str, Any], organisation: dict[str, Any]
    ) -> None:
        body = {"provider_id": provider["id"], "secret": SECRET}
        nowhere = f"/organisations/{NOBODY}/own-credentials"
        assert await client.refused("POST", nowhere, body) == "404 organisation_not_found"
        assert await client.refused("GET", nowhere) == "404 organisation_not_found"
        assert await client.refused("POST", own, {**body, "provider_id": NOBODY}) == "422 provider_unknown"
        await client.call("PATCH", f"/organisations/{organisation['id']}", {"status": "closed"})
        assert await client.refused("POST", own, body) == "409 organisation_closed"

    async def test_are_taken_only_where_their_owner_is_billed(self, client: Client, own: str) -> None:
        ours = {"slug": "gpu", "kind": "openai_compatible", "base_url": "https://gpu.example.com/v1"}
        provider = await client.post("/providers", ours)
        assert provider["takes_own_keys"] is False
        body = {"provider_id": provider["id"], "secret": SECRET}
        assert await client.refused("POST", own, body) == "409 own_keys_not_taken"
        await client.call("PATCH", f"/providers/{provider['id']}", {"takes_own_keys": True})
        await client.post(own, body)
        for kind, taken in (("openai", True), ("anthropic", True), ("ollama", False)):
            makers = await client.post("/providers", {"slug": f"{kind}-2", "kind": kind})
            assert makers["takes_own_keys"] is taken
        proxied = {"slug": "proxy", "kind": "openai", "base_url": "https://proxy.example.com/v1"}
        assert not (await client.post("/providers", proxied))["takes_own_keys"]

    async def test_refuse_what_is_none(self, client: Client, own: str, provider: dict[str, Any]) -> None:
        for secret in ("", "   ", "short", "two\nlines-of-it", "llm_sk_abcdefgh", "x" * 4097, 5, None):
            refused = await client.refused("POST", own, {"provider_id": provider["id"], "secret": secret})
            assert refused in {"422 credential_invalid", "422 invalid_request"}, secret

    async def test_are_not_without_end(self, client: Client, own: str, provider: dict[str, Any]) -> None:
        body = {"provider_id": provider["id"], "secret": SECRET}
        for _ in range(50):
            await client.post(own, body)
        assert await client.refused("POST", own, body) == "409 too_many_credentials"


OPEN = {"own_keys_fall_back": False, "allowed_providers": None, "allowed_regions": None}


class TestRoutingRules:
    async def test_let_everything_through_at_first(self, client: Client, rules: str) -> None:
        assert await client.get(rules) == OPEN

    async def test_change_only_what_is_given(
        self, client: Client, control: Control, rules: str, provider: dict[str, Any]
    ) -> None:
        async with control.database.transaction(operator=True) as tx:
            await tx.execute(sa.text("UPDATE provider SET region = 'eu'"))
        narrowed = await client.call("PATCH", rules, {"allowed_providers": [provider["id"]]})
        assert narrowed == {**OPEN, "allowed_providers": [provider["id"]]}
        both = await client.call("PATCH", rules, {"allowed_regions": ["eu"], "own_keys_fall_back": True})
        assert both == {
            "own_keys_fall_back": True,
            "allowed_providers": [provider["id"]],
            "allowed_regions": ["eu"],
        }
        assert await client.call("PATCH", rules, {}) == both
        lifted = await client.call("PATCH", rules, {"allowed_providers": None, "allowed_regions": None})
        assert lifted == {**OPEN, "own_keys_fall_back": True}

    async def test_refuse_names_that_would_lock_everything_out(
        self, client: Client, rules: str, provider: dict[str, Any]
    ) -> None:
        wrong = {
            "422 provider_unknown": {"allowed_providers": [provider["id"], NOBODY]},
            "422 region_unknown": {"allowed_regions": ["atlantis"]},
        }
        for refusal, body in wrong.items():
            assert await client.refused("PATCH", rules, body) == refusal
        for body in (
            {"allowed_providers": []},
            {"allowed_regions": []},
            {"allowed_regions": ["EU West"]},
            {"allowed_regions": ["eu"] * 101},
            {"own_keys_fall_back": None},
            {"own_keys_fallback": True},
        ):
            assert await client.refused("PATCH", rules, body) == "422 invalid_request", body
        assert await client.get(rules) == OPEN

    async def test_of_nobody_are_not_found(self, client: Client) -> None:
        path = f"/organisations/{NOBODY}/routing"
        assert await client.refused("GET", path) == "404 organisation_not_found"
        assert await client.refused("PATCH", path, {}) == "404 organisation_not_found"


class TestPlatformFees:
    async def test_are_five_percent_until_an_operator_says_otherwise(
        self, client: Client, organisation: dict[str, Any]
    ) -> None:
        shown = await client.get(f"/organisations/{organisation['id']}/platform-fee")
        assert (shown["percent"], shown["per_request"], shown["currency"]) == ("5", "0", "USD")
        assert len((await client.get("/platform-fees"))["items"]) == 5

    async def test_an_organisation_may_have_its_own(
        self, client: Client, organisation: dict[str, Any], clock: SettableClock
    ) -> None:
        mine = f"/organisations/{organisation['id']}/platform-fee"
        everybodys = await client.post("/platform-fees", {"percent": "3.25", "per_request": "0.0001"})
        assert await client.get(mine) == everybodys
        made = await client.post(
            "/platform-fees", {"organisation_id": organisation["id"], "percent": 0, "per_request": "0.002"}
        )
        assert (made["percent"], made["per_request"]) == ("0", "0.002")
        assert await client.get(mine) == made
        clock.ahead_ms += 1000
        await client.post("/platform-fees", {"percent": "9"})
        assert await client.get(mine) == made
        listed = await client.get(f"/platform-fees?organisation_id={organisation['id']}")
        assert listed["items"] == [made]
        other = await client.post("/organisations", {"name": "Other"})
        assert (await client.get(f"/organisations/{other['id']}/platform-fee"))["percent"] == "9"

    async def test_begin_when_they_are_said_to(self, client: Client, organisation: dict[str, Any]) -> None:
        later = {"percent": "50", "effective_from": "2199-01-01T00:00:00Z"}
        await client.post("/platform-fees", later)
        assert await client.refused("POST", "/platform-fees", later) == "409 fee_exists"
        shown = await client.get(f"/organisations/{organisation['id']}/platform-fee")
        assert shown["percent"] == "5"

    async def test_refuse_what_is_none(self, client: Client) -> None:
        for body in (
            {},
            {"percent": "-1"},
            {"percent": "1000.1"},
            {"percent": "0.00001"},
            {"percent": "NaN"},
            {"percent": "5", "per_request": "-1"},
            {"percent": "5", "per_request": "0." + "0" * 18 + "1"},
            {"percent": "5", "per_request": "1000001"},
            {"percent": "5", "currency": "XYZ"},
        ):
            refused = await client.refused("POST", "/platform-fees", body)
            assert refused in {"422 invalid_request", "422 fee_invalid"}, body
        body = {"percent": "5", "organisation_id": NOBODY}
        assert await client.refused("POST", "/platform-fees", body) == "404 organisation_not_found"
        assert await client.refused("GET", f"/organisations/{NOBODY}/platform-fee") == (
            "404 organisation_not_found"
        )
