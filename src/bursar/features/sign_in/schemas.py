"""What goes in and out of signing in elsewhere."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints, field_validator

from bursar.core.permissions import GIVEN_ROLES, MemberRole
from bursar.rest.fields import Body, Email, Moment, Name, printable
from bursar.rest.proofs import Proof

ISSUER_LENGTH_MAX: Final = 300
CLIENT_LENGTH_MAX: Final = 500
CODE_LENGTH_MAX: Final = 40
ROLE_MAP_MAX: Final = 100
DOMAIN_LENGTH_MAX: Final = 253
LABEL: Final = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
DOMAIN_SHAPE: Final = re.compile(rf"({LABEL}\.)+(?!\d+$){LABEL}")
VISIBLE: Final = r"^[!-~]+$"


def issuer_url(text: str) -> str:
    """What an issuer calls itself: an address with nothing behind its path (Discovery 1.0, section 3)."""
    parts = urlsplit(printable(text))
    fits = parts.scheme in {"https", "http"} and parts.hostname and parts.port != 0
    if not fits or parts.query or parts.fragment or parts.username is not None or not text.isascii():
        raise ValueError("must be the URL of an issuer")
    return text


def domain_name(text: str) -> str:
    """In small letters; one with other letters as it is in DNS (`xn--…`)."""
    domain = text.lower().rstrip(".")
    if len(domain) > DOMAIN_LENGTH_MAX or not DOMAIN_SHAPE.fullmatch(domain):
        raise ValueError("must be a domain such as acme.example")
    return domain


def given_role(role: MemberRole) -> MemberRole:
    if role not in GIVEN_ROLES:
        raise ValueError("must not be owner")
    return role


Issuer = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=ISSUER_LENGTH_MAX),
    AfterValidator(issuer_url),
    Field(examples=["https://login.acme.example"]),
]
Domain = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=DOMAIN_LENGTH_MAX + 1),
    AfterValidator(domain_name),
    Field(examples=["acme.example"]),
]
ClientId = Annotated[str, StringConstraints(max_length=CLIENT_LENGTH_MAX, pattern=VISIBLE)]
ClientSecret = Annotated[
    SecretStr, Field(min_length=1, max_length=CLIENT_LENGTH_MAX, description="Sealed, and never shown again.")
]
GivenRole = Annotated[MemberRole, AfterValidator(given_role)]
RoleMap = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=200)], GivenRole],
    Field(max_length=ROLE_MAP_MAX, description="Value of the claim → role; nobody becomes an owner by it."),
]
ClaimName = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(printable),
    Field(
        description="Claim that the role is read from, such as `groups`; empty: none.", examples=["groups"]
    ),
]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,31}$"), Field(examples=["acme"])]


def visible_secret(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None and not re.fullmatch(VISIBLE, secret.get_secret_value()):
        raise ValueError("must be visible ASCII characters without blanks")
    return secret


class SignInOption(BaseModel):
    """A button."""

    slug: str
    name: str
    start: str = Field(description="Where the browser goes; add `return_to`.")


class Discovery(Body):
    """Who wants to sign in."""

    email: Email


class Discovered(BaseModel):
    """How he does: by password or a button, or at his organisation's single sign-on."""

    method: Literal["any", "single_sign_on"]
    start: str | None = Field(default=None, description="With `single_sign_on`: where the browser goes.")


class SecondFactor(Body):
    """What completes a sign-in that a source began."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=CODE_LENGTH_MAX)] = Field(
        description="Of the authenticator, or a recovery code."
    )


class Completed(BaseModel):
    """Signed in; the cookies are set."""

    user_id: UUID


class StarterKey(BaseModel):
    """The key that a new organisation begins with; shown once."""

    key: str


class LinkedIdentity(BaseModel):
    """Where else somebody may sign in as himself."""

    id: UUID
    provider: str = Field(description="Slug or, of single sign-on, `sso`.")
    email: str = Field(description="The address that was proven there when it was linked.")
    created_at: Moment
    used_at: Moment


class NewLink(Proof):
    """Where else to sign in from now on."""

    provider: Slug
    return_to: str | None = Field(default=None, max_length=500, examples=["/settings"])


class LinkBegun(BaseModel):
    """Send the browser there; it comes back linked."""

    authorization_url: str


class NewIdentityProvider(Body):
    """A further OpenID Connect issuer for everybody."""

    slug: Slug
    name: Name
    issuer: Issuer
    client_id: ClientId
    client_secret: ClientSecret

    _visible = field_validator("client_secret")(visible_secret)


class IdentityProviderChange(Body):
    """What is absent stays; the issuer stays always."""

    name: Name | None = None
    client_id: ClientId | None = None
    client_secret: ClientSecret | None = None
    active: bool | None = None

    _visible = field_validator("client_secret")(visible_secret)


class IdentityProvider(BaseModel):
    id: UUID
    slug: str
    name: str
    issuer: str
    client_id: str
    active: bool
    created_at: Moment


class NewConnection(Body):
    """An organisation's own issuer."""

    name: Name
    issuer: Issuer
    client_id: ClientId
    client_secret: ClientSecret
    role_claim: ClaimName = ""
    role_map: RoleMap = Field(default_factory=dict)
    default_role: GivenRole | None = Field(
        default=MemberRole.VIEWER,
        description="Of who has no value in the map; null lets him not in.",
    )
    vouches_for_email: bool = Field(
        default=False,
        description="Its addresses count as verified when it does not say: it lets nobody choose his own.",
    )

    _visible = field_validator("client_secret")(visible_secret)


class ConnectionChange(Body):
    """What is absent stays; the issuer stays always."""

    name: Name | None = None
    client_id: ClientId | None = None
    client_secret: ClientSecret | None = None
    role_claim: ClaimName | None = None
    role_map: RoleMap | None = None
    default_role: GivenRole | None = None
    vouches_for_email: bool | None = None
    active: bool | None = None

    _visible = field_validator("client_secret")(visible_secret)


class Connection(BaseModel):
    id: UUID
    name: str
    issuer: str
    client_id: str
    role_claim: str
    role_map: dict[str, MemberRole]
    default_role: MemberRole | None
    vouches_for_email: bool
    active: bool
    created_at: Moment
    redirect_uri: str = Field(description="To be allowed at the issuer.")
    start: str = Field(description="Where a browser begins.")


class NewDomain(Body):
    """A domain whose people sign in at a connection, once it is proven."""

    connection_id: UUID
    domain: Domain
    captures: bool = Field(
        default=False, description="Once it is verified, its people sign in there and nowhere else."
    )


class DomainChange(Body):
    captures: bool


class SsoDomain(BaseModel):
    id: UUID
    connection_id: UUID
    domain: str
    captures: bool
    verified_at: Moment | None
    created_at: Moment
    record_name: str = Field(description="The DNS name that needs a TXT record.")
    record_value: str = Field(description="What it must say.")
