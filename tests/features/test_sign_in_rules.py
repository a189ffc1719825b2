from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ValidationError

from bursar.adapters.identity import Proven
from bursar.core.permissions import MemberRole
from bursar.features.sign_in.linking import (
    EVERYBODY,
    DomainNotVerified,
    Domains,
    EmailNotVerified,
    verified_email,
)
from bursar.features.sign_in.returning import ReturnPathInvalid, own_path
from bursar.features.sign_in.role_map import role_of
from bursar.features.sign_in.schemas import Domain, Issuer

ACME = Domains(own=frozenset({"acme.example"}))


class TestOwnPath:
    @pytest.mark.parametrize(
        "path", ["/", "/keys", "/keys?new=1#top", "/a//b", "/a:b@c", "/%2F%2Fevil.example"]
    )
    def test_is_taken_as_it_is(self, path: str) -> None:
        assert own_path(path) == path

    @pytest.mark.parametrize(
        "path",
        [
            *(
                "https://evil.example",
                "//evil.example",
                "/\\evil.example",
                "\\\\evil.example",
                "evil.example",
            ),
            *(
                "/\t/evil.example",
                "/\n/evil.example",
                " //evil.example",
                "javascript:alert(1)",
                "/a\\b",
                "/é",
            ),
            *("/\x00", "/a b", "///evil.example", "http:/evil.example", "@evil.example", "/" + "a" * 500),
        ],
    )
    def test_refuses_what_a_browser_would_take_elsewhere(self, path: str) -> None:
        with pytest.raises(ReturnPathInvalid):
            own_path(path)

    def test_is_home_when_none_is_given(self) -> None:
        assert (own_path(None), own_path("")) == ("/", "/")


class TestRoleOf:
    MAP: ClassVar = {"admins": "admin", "devs": "developer", "boss": "owner", "odd": "superadmin"}

    @pytest.mark.parametrize(
        ("claims", "role"),
        [
            ({"groups": ["devs"]}, MemberRole.DEVELOPER),
            ({"groups": "admins"}, MemberRole.ADMIN),
            ({"groups": ["devs", "admins"]}, MemberRole.ADMIN),
            ({"groups": ["boss"]}, None),
            ({"groups": ["odd"]}, None),
            ({"groups": ["guests", 7, None, ["admins"]]}, None),
            ({"groups": {"admins": True}}, None),
            ({"roles": ["admins"]}, None),
            ({}, None),
        ],
    )
    def test_is_the_highest_that_the_map_gives_and_never_owner(
        self, claims: dict[str, Any], role: MemberRole | None
    ) -> None:
        assert role_of(claims, claim="groups", mapped=self.MAP, default=None) is role

    def test_is_the_default_for_who_has_no_value(self) -> None:
        found = role_of({"groups": []}, claim="groups", mapped=self.MAP, default=MemberRole.VIEWER)
        assert found is MemberRole.VIEWER
        assert role_of({"": "devs"}, claim="", mapped=self.MAP, default=None) is None


def told(email: Any = "Ana@Acme.example", *, verified: bool | None = True, subject: str = "1") -> Proven:
    return Proven(subject=subject, email=email, email_verified=verified)


class TestVerifiedEmail:
    def test_is_the_address_in_small_letters(self) -> None:
        assert verified_email(told(), EVERYBODY) == "ana@acme.example"
        assert verified_email(told(), ACME) == "ana@acme.example"
        assert verified_email(told("Ana@\uff21cme.example"), ACME) == "ana@acme.example"  # a full-width A

    @pytest.mark.parametrize(
        "proven",
        [
            told(verified=False),
            told(verified=None),
            told(None),
            told("no address"),
            told("a@b@acme.example"),
            told("\x00@acme.example"),
            told("a" * 300 + "@acme.example"),
            told(subject="s" * 256),
        ],
    )
    def test_refuses_what_is_not_proven(self, proven: Proven) -> None:
        for domains in (EVERYBODY, ACME):
            with pytest.raises(EmailNotVerified):
                verified_email(proven, domains)

    def test_lets_an_organisation_vouch_where_nothing_is_said_for_its_own_domains_only(self) -> None:
        vouching = Domains(own=frozenset({"acme.example"}), vouches=True)
        assert verified_email(told(verified=None), vouching) == "ana@acme.example"
        with pytest.raises(EmailNotVerified):
            verified_email(told(verified=False), vouching)
        with pytest.raises(EmailNotVerified):
            verified_email(told(verified=None), Domains(own=None, vouches=True))
        for email in ("ana@other.example", "ana@sub.acme.example", "ana@acme.example.evil.example"):
            with pytest.raises(DomainNotVerified):
                verified_email(told(email), vouching)


class Named(BaseModel):
    domain: Domain = "acme.example"
    issuer: Issuer = "https://acme.example"


class TestNames:
    @pytest.mark.parametrize("domain", ["acme.example", "a-b.co.uk", "ACME.Example.", "xn--fiq228c.example"])
    def test_domains_are_kept_as_dns_has_them(self, domain: str) -> None:
        assert Named(domain=domain).domain == domain.lower().rstrip(".")

    @pytest.mark.parametrize(
        "domain",
        ["example", "", "-a.example", "a_b.example", "a..b", "1.2.3.4", "*.acme.example", "中.example"],
    )
    def test_refuse_what_is_no_domain(self, domain: str) -> None:
        with pytest.raises(ValidationError):
            Named(domain=domain)

    @pytest.mark.parametrize(
        "issuer",
        [
            *("ftp://acme.example", "https://", "https://a@acme.example", "https://acme.example?x=1", "acme"),
            *("https://acme.example#x", "https://acme.example:99999", "https://中.example", "javascript:x"),
        ],
    )
    def test_refuse_what_is_no_issuer(self, issuer: str) -> None:
        with pytest.raises(ValidationError):
            Named(issuer=issuer)
