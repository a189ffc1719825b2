"""An organisation's own single sign-on, with a real OpenID Connect provider in a process of its own."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import people
import psycopg
import pytest
from control_client import Client
from elsewhere_story import ACCEPTED, ANA, Story
from test_commands import Bursar, bursar

from bursar.adapters.identity.authlib_client import AuthlibIdentities
from bursar.core.permissions import MemberRole, OperatorRole
from bursar.db.connect import Role
from bursar.rest.control import Control
from oidc_servers import let_in, provider_process
from scratch_database import ScratchDatabase

__all__ = ["bursar"]  # the fixture

ISSUER = "https://id.acme.example"
ROLES = {"role_claim": "groups", "role_map": {"devs": "developer", "leads": "admin"}, "default_role": None}


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with provider_process() as issuer:
        yield issuer


@pytest.fixture
def story(control: Control, database: ScratchDatabase) -> Story:
    return Story.begin(control, database)


@pytest.fixture
async def owner(story: Story, organisation: dict[str, Any]) -> Client:
    return await people.member(story.control, organisation["id"], MemberRole.OWNER)


def place(organisation: dict[str, Any], rest: str) -> str:
    return f"/organisations/{organisation['id']}/sso{rest}"


async def connect(
    story: Story, owner: Client, organisation: dict[str, Any], issuer: str = ISSUER, **changes: Any
) -> dict[str, Any]:
    """A connection with the domain acme.example, verified and captured."""
    body = {"name": "Acme", "issuer": issuer, "client_id": "bursar", "client_secret": "very-secret"}
    made: dict[str, Any] = await owner.post(place(organisation, "/connections"), {**body, **changes})
    asked = {"connection_id": made["id"], "domain": "Acme.example", "captures": True}
    domain = await owner.post(place(organisation, "/domains"), asked)
    story.dns.records[domain["record_name"]] = ["v=spf1 -all", domain["record_value"]]
    proof = await owner.post(place(organisation, f"/domains/{domain['id']}/verify"), status=200)
    assert proof["verified_at"] is not None
    return made


def start_of(connection: dict[str, Any]) -> str:
    start: str = connection["start"]
    return start.removeprefix("/api/v1")


def person(name: str, **claims: Any) -> Any:
    return replace(ANA, subject=name, email=f"{name}@acme.example", claims=claims)


class TestSingleSignOn:
    async def test_lets_people_in_whom_their_organisation_knows(
        self,
        control: Control,
        database: ScratchDatabase,
        organisation: dict[str, Any],
        provider: str,
    ) -> None:
        """All of it against a real provider: discovery, PKCE, keys, ID token, claims, roles."""
        identities = AuthlibIdentities(allows_loopback=True)
        story = Story.begin(control, database, identities=identities)
        owner = await people.member(story.control, organisation["id"], MemberRole.OWNER)
        made = await connect(story, owner, organisation, provider, **ROLES)
        assert "very-secret" not in str(made)

        found = await story.http.post("/api/v1/auth/discover", json={"email": "Ana@ACME.example"})
        assert found.json() == {"method": "single_sign_on", "start": made["start"]}
        claims = {"email": "ana@acme.example", "email_verified": True, "name": "Ana", "groups": ["devs"]}
        url = await story.leave(start_of(made), return_to="/keys", login_hint="ana@acme.example")
        assert url.startswith(provider)
        back = await story.http.get(
            urlsplit(made["redirect_uri"]).path, params=await let_in(url, "ana-1", claims)
        )
        assert (back.status_code, back.headers["location"]) == (303, "/keys")
        me = await story.me()
        assert [(one["organisation_id"], one["role"]) for one in me["memberships"]] == [
            (organisation["id"], "developer")
        ]

        again = story.elsewhere()
        url = await again.leave(start_of(made))
        said = await let_in(url, "ana-1", claims | {"groups": ["leads", "devs"]})
        assert (await again.http.get(urlsplit(made["redirect_uri"]).path, params=said)).status_code == 303
        assert [one["role"] for one in (await again.me())["memberships"]] == ["admin"]
        told = story.asked("SELECT payload FROM outbox WHERE topic = 'webhook' ORDER BY id")
        assert [(event["type"], event["data"]["role"]) for (event,) in told] == [
            ("member.joined", "developer"),
            ("member.changed", "admin"),
        ]

        stranger = story.elsewhere()
        url = await stranger.leave(start_of(made))
        said = await let_in(url, "eve-1", {"email": "eve@other.example", "email_verified": True})
        refused = await stranger.http.get(urlsplit(made["redirect_uri"]).path, params=said)
        assert (refused.status_code, refused.json()["code"]) == (403, "domain_not_verified")
        await identities.close()

    async def test_gives_no_role_that_the_map_does_not(
        self, story: Story, owner: Client, organisation: dict[str, Any]
    ) -> None:
        made = await connect(story, owner, organisation, **ROLES)
        guest = story.elsewhere()
        assert await guest.sign_in(person("guest"), start_of(made)) == "403 single_sign_on_role_missing"
        assert story.asked("SELECT count(*) FROM app_user WHERE email LIKE 'guest@%%'") == [(0,)]
        for role in ("owner", "superadmin"):
            change = {"role_map": {"boss": role}}
            path = place(organisation, f"/connections/{made['id']}")
            assert await owner.refused("PATCH", path, change) == "422 invalid_request"
        with pytest.raises(psycopg.errors.CheckViolation):
            story.asked("""UPDATE sso_connection SET role_map = '{"boss": "owner"}'""")

    async def test_leaves_owners_what_they_are(
        self, story: Story, owner: Client, organisation: dict[str, Any]
    ) -> None:
        made = await connect(story, owner, organisation, **ROLES)
        story.asked(
            "UPDATE app_user SET email = 'boss@acme.example' FROM membership"
            " WHERE user_id = app_user.id AND role = 'owner'"
        )
        for groups in (["devs"], []):  # also when the map would not let him in
            assert await story.sign_in(person("boss", groups=groups), start_of(made)) == "/"
        assert [one["role"] for one in (await story.me())["memberships"]] == ["owner"]

    async def test_makes_no_first_member(self, story: Story, organisation: dict[str, Any]) -> None:
        operator = await people.operator(story.control, OperatorRole.SUPERADMIN)
        made = await connect(story, operator, organisation)
        assert await story.sign_in(person("ana"), start_of(made)) == "409 owner_missing"
        assert story.asked("SELECT count(*) FROM app_user WHERE email LIKE 'ana@%%'") == [(0,)]

    async def test_opens_no_account_beyond_its_domains(
        self, story: Story, owner: Client, organisation: dict[str, Any]
    ) -> None:
        """An organisation's issuer may say what it likes; it is believed about its own people only."""
        made = await connect(story, owner, organisation, default_role="developer", vouches_for_email=True)
        victim = await people.make_person(story.control, email="victim@other.example")
        await people.make_person(
            story.control, email="op@acme.example", operator_role=OperatorRole.SUPERADMIN
        )
        forged = replace(ANA, subject="v", email="victim@other.example")
        assert await story.sign_in(forged, start_of(made)) == "403 domain_not_verified"
        operator = replace(ANA, subject="o", email="op@acme.example")
        assert await story.sign_in(operator, start_of(made)) == "403 link_needs_sign_in"
        denied = replace(ANA, subject="d", email="d@acme.example", email_verified=False)
        assert await story.sign_in(denied, start_of(made)) == "403 email_not_verified"
        unsaid = replace(ANA, subject="u", email="u@acme.example", email_verified=None)
        assert await story.elsewhere().sign_in(unsaid, start_of(made)) == "/"
        story.asked("UPDATE app_user SET email = 'left@other.example' WHERE email = 'u@acme.example'")
        assert await story.sign_in(unsaid, start_of(made)) == "403 domain_not_verified"
        assert story.asked("SELECT count(*) FROM session WHERE user_id = %s", victim) == [(0,)]


class TestIdentityProviderCommands:
    def test_add_switch_off_and_remove(self, bursar: Bursar, provider: str) -> None:
        add = ("identity-provider", "add", "corp", provider, "bursar-client")
        secret = {"stdin": "very-secret\n", "BURSAR_SSO_ALLOW_LOOPBACK": "true"}
        assert bursar.refused(*add, stdin="very-secret\n") == "issuer_unusable"
        made = bursar.json(*add, "--name", "Corporate", **secret)
        assert (made["slug"], made["name"], made["active"]) == ("corp", "Corporate", True)
        assert bursar.refused(*add, **secret) == "identity_provider_exists"
        off = bursar.json(
            "identity-provider", "change", made["id"], "--inactive", "--from-env", "NEW", NEW="s2"
        )
        assert off["active"] is False
        shown = bursar.run("identity-provider", "list").stdout
        assert "corp" in shown
        assert "very-secret" not in shown
        assert bursar.json("identity-provider", "remove", made["id"])["id"] == made["id"]
        assert bursar.refused("identity-provider", "remove", made["id"]) == "identity_provider_not_found"


class TestCapture:
    async def test_sends_people_of_the_domain_to_their_organisation(
        self, story: Story, owner: Client, organisation: dict[str, Any]
    ) -> None:
        await people.make_person(story.control, email="bea@people.example")
        assert await story.sign_in(replace(ANA, email="bea@people.example")) == "/"
        made = await connect(story, owner, organisation)
        other = story.elsewhere()
        assert await other.sign_in(person("new"), **ACCEPTED) == "403 single_sign_on_required"
        answer = await other.come_back(await other.leave(), person("new"))
        assert answer.json()["start"] == made["start"]
        story.asked("UPDATE app_user SET email = 'bea@acme.example' WHERE email = 'bea@people.example'")
        assert await other.sign_in(replace(ANA, email="x@people.example")) == "403 single_sign_on_required"
        begun = await story.post("/me/identities", {"provider": "github"})
        back = await story.come_back(begun.json()["authorization_url"], replace(ANA, subject="gh"))
        assert back.json()["code"] == "single_sign_on_required"

        asked = "/api/v1/auth/discover"
        domain = (await owner.get(place(organisation, "/domains")))[0]
        path = place(organisation, f"/domains/{domain['id']}")
        await owner.call("PATCH", path, {"captures": False})
        found = await story.http.post(asked, json={"email": "a@acme.example"})
        assert found.json() == {"method": "any", "start": None}
        await owner.call("PATCH", path, {"captures": True})
        await owner.call("PATCH", place(organisation, f"/connections/{made['id']}"), {"active": False})
        found = await story.http.post(asked, json={"email": "a@acme.example"})
        assert found.json()["method"] == "any"
        assert (await story.http.get(made["start"])).json()["code"] == "sign_in_source_not_found"

    async def test_leaves_the_password_to_owners_for_when_single_sign_on_is_broken(
        self, story: Story, owner: Client, organisation: dict[str, Any]
    ) -> None:
        await connect(story, owner, organisation)
        stored, said = await story.control.passwords.hash("a quiet zebra"), "/api/v1/auth/log-in"
        await people.make_person(story.control, email="ana@acme.example")
        story.asked(
            "UPDATE app_user SET email = 'boss@acme.example' FROM membership"
            " WHERE user_id = app_user.id AND role = 'owner'"
        )
        story.asked("UPDATE app_user SET password_hash = %s", stored)
        ana = {"email": "ana@acme.example", "password": "a quiet zebra"}
        refused = await story.http.post(said, json=ana)
        assert (refused.status_code, refused.json()["code"]) == (403, "single_sign_on_required")
        wrong = await story.http.post(said, json=ana | {"password": "another"})
        assert wrong.json()["code"] == "sign_in_refused"  # a stranger is not told
        boss = await story.http.post(said, json=ana | {"email": "boss@acme.example"})
        assert boss.status_code == 200
        story.asked("UPDATE app_user SET operator_role = 'finance' WHERE email = 'ana@acme.example'")
        assert (await story.http.post(said, json=ana)).status_code == 200

    async def test_is_not_escaped_by_another_address(
        self, story: Story, owner: Client, organisation: dict[str, Any]
    ) -> None:
        made = await connect(story, owner, organisation)
        ana = story.elsewhere()
        assert await ana.sign_in(person("ana"), start_of(made)) == "/"
        answer = await ana.post("/me/email", {"email": "ana@people.example"})
        assert (answer.status_code, answer.json()["code"]) == (403, "single_sign_on_required")
        assert answer.json()["start"] == made["start"]
        assert (await ana.post("/me/email", {"email": "ana.maria@acme.example"})).status_code == 202


class TestDomains:
    async def test_count_once_dns_has_shown_the_challenge(
        self, story: Story, owner: Client, organisation: dict[str, Any], client: Client
    ) -> None:
        body = {"name": "Acme", "issuer": ISSUER, "client_id": "bursar", "client_secret": "s"}
        made = await owner.post(place(organisation, "/connections"), body)
        asked = {"connection_id": made["id"], "domain": "acme.example", "captures": True}
        domain = await owner.post(place(organisation, "/domains"), asked)
        assert await owner.refused("POST", place(organisation, "/domains"), asked) == "409 sso_domain_exists"
        verify = place(organisation, f"/domains/{domain['id']}/verify")
        assert await owner.refused("POST", verify) == "409 sso_domain_unproven"
        story.dns.records["_bursar.acme.example"] = ["bursar-domain-verification=another"]
        assert await owner.refused("POST", verify) == "409 sso_domain_unproven"
        found = await story.http.post("/api/v1/auth/discover", json={"email": "a@acme.example"})
        assert found.json()["method"] == "any"
        assert await story.sign_in(person("ana"), start_of(made)) == "403 domain_not_verified"
        story.dns.is_away = True
        assert await owner.refused("POST", verify) == "424 name_servers_away"
        story.dns.is_away = False

        other = await client.post("/organisations", {"name": "Rival", "billing_email": "r@rival.example"})
        rival = await people.member(story.control, other["id"], MemberRole.ADMIN)
        foreign = {**asked, "connection_id": made["id"]}
        assert await rival.refused("POST", place(other, "/domains"), foreign) == (
            "404 sso_connection_not_found"
        )
        await connect(story, rival, other)
        story.dns.records["_bursar.acme.example"] = [domain["record_value"]]
        assert await owner.refused("POST", verify) == "409 sso_domain_taken"

    async def test_go_with_their_connection_and_so_do_its_links(
        self, story: Story, owner: Client, organisation: dict[str, Any]
    ) -> None:
        made = await connect(story, owner, organisation)
        assert await story.sign_in(person("ana"), start_of(made)) == "/"
        assert [one["role"] for one in (await story.me())["memberships"]] == ["viewer"]
        await owner.call("DELETE", place(organisation, f"/connections/{made['id']}"))
        assert await owner.get(place(organisation, "/domains")) == []
        assert story.asked("SELECT count(*) FROM linked_identity") == [(0,)]
        assert len((await story.me())["memberships"]) == 1


class TestIssuers:
    async def test_that_an_organisation_names_are_never_inside(
        self, control: Control, database: ScratchDatabase, organisation: dict[str, Any]
    ) -> None:
        identities = AuthlibIdentities()
        story = Story.begin(control, database, identities=identities)
        owner = await people.member(story.control, organisation["id"], MemberRole.OWNER)
        body = {"name": "Acme", "client_id": "bursar", "client_secret": "s"}
        for issuer in (
            "https://127.0.0.1:1",
            "http://127.0.0.1:1",
            "https://169.254.169.254",
            "https://[::1]",
        ):
            path = place(organisation, "/connections")
            assert await owner.refused("POST", path, {**body, "issuer": issuer}) == "422 issuer_unusable"
        await identities.close()

    async def test_keep_their_secrets_from_who_reads_and_are_for_who_may(
        self, story: Story, owner: Client, organisation: dict[str, Any]
    ) -> None:
        made = await connect(story, owner, organisation)
        path = place(organisation, f"/connections/{made['id']}")
        assert "secret" not in str(await owner.get(path))
        with (
            psycopg.connect(story.database.conninfo(Role.API), autocommit=True) as api,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            api.execute("SELECT sealed FROM sso_connection")
        developer = await people.member(story.control, organisation["id"], MemberRole.DEVELOPER)
        assert await developer.refused("GET", path) == "403 permission_denied"
        assert await developer.refused("DELETE", path) == "403 permission_denied"
        changed = await owner.call("PATCH", path, {"client_secret": "new", "default_role": None})
        assert (changed["default_role"], changed["issuer"]) == (None, ISSUER)
        assert await owner.refused("PATCH", path, {"issuer": "https://evil.example"}) == "422 invalid_request"
