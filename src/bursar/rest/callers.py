"""Who is calling the control plane, and whether he may: an operator's token, or a person who signed in.

Every route names one policy among its dependencies: `May(permission)`, `SignedIn()` or `Public()`
(`tests/features/test_isolation.py` refuses a route without). What a person is in the organisation of the path
is looked up at each request, so that a role taken away or a session revoked counts at once.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Final
from uuid import UUID

import orjson
import sqlalchemy as sa
from fastapi import Depends, Request, params
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bursar.core.addresses import Networks, client_address
from bursar.core.permissions import MemberRole, OperatorRole, Permission, member_may, operator_may
from bursar.db.engine import ReadSession
from bursar.db.tables import app_user, membership, operator_token, session
from bursar.rest.access_tokens import Claims, TokenInvalid
from bursar.rest.control import Control, Means
from bursar.rest.problems import Forbidden, NotFound, Refusal
from bursar.rest.secret_text import digest_of

# Our tokens are shorter; anything longer is not one and need not be hashed.
TOKEN_LENGTH_MAX = 200
OPERATOR_TOKEN_PREFIX: Final = "bursar_op_"  # noqa: S105 - public: it lets scanners recognise a leaked token

BY_HAND_ID: Final = UUID(int=0)
"""Of whoever sits at the command line."""

ACCESS_COOKIE: Final = "bursar_access"
CSRF_COOKIE: Final = "bursar_csrf"
CSRF_HEADER: Final = "x-csrf-token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

bearer = HTTPBearer(
    auto_error=False, description="A token from `bursar operator token`, or an access token of a sign-in."
)


class NotAuthenticated(Refusal):
    """No token, or one that is unknown, revoked or expired; which of these is not told."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid_token"

    def __init__(self) -> None:
        super().__init__("The token is missing, unknown, revoked or expired: sign in.")
        self.headers = {"www-authenticate": "Bearer"}


class PermissionDenied(Forbidden):
    code = "permission_denied"

    def __init__(self, permission: Permission) -> None:
        super().__init__(f"This needs the permission {permission.value}, which your role does not have.")
        self.members = {"permission": permission.value}


class TwoFactorRequired(Forbidden):
    code = "two_factor_required"

    def __init__(self) -> None:
        super().__init__("Operators sign in with a second factor: set one up, then sign in again.")


class CsrfRefused(Forbidden):
    code = "csrf_refused"

    def __init__(self) -> None:
        super().__init__(f"A browser must send the value of the cookie {CSRF_COOKIE} as {CSRF_HEADER}.")


class ReadOnly(Forbidden):
    code = "view_only"

    def __init__(self) -> None:
        super().__init__("Somebody who views as a customer changes nothing.")


class OperatorAddressRefused(Forbidden):
    code = "operator_address_refused"

    def __init__(self) -> None:
        super().__init__("Operators may not work from this address.")


class NoSuchOrganisation(NotFound):
    """Also for those that exist and are not the caller's."""

    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. Either an operator's token, or a person with a session.

    Attributes:
        id: of the operator token, or of the person.
        member_role: what he is in the organisation of the path, if there is one and he is of it.
        operator_role: what he is to the installation.
        needs_second_factor: he is an operator whose sign-in showed one factor only.
        session_id: None with an operator's token.
        is_refused_here: he is an operator, and they may not work from his address.
        viewer_role: of an operator who sees what a customer sees and changes nothing; `member_role` is then
            the customer's owner, `operator_role` None.
    """

    id: UUID
    name: str
    address: IPv4Address | IPv6Address | None = None
    member_role: MemberRole | None = None
    operator_role: OperatorRole | None = None
    needs_second_factor: bool = False
    session_id: UUID | None = None
    email: str | None = None
    is_refused_here: bool = False
    viewer_role: OperatorRole | None = None

    @property
    def user_id(self) -> UUID | None:
        return None if self.session_id is None else self.id

    @property
    def token_id(self) -> UUID | None:
        """Of the operator's token; the command line needs none."""
        return None if self.session_id is not None or self.id == BY_HAND_ID else self.id

    @property
    def is_viewing(self) -> bool:
        return self.viewer_role is not None

    @property
    def is_operator(self) -> bool:
        """He has an operator's powers, here and now."""
        return self.operator_role is not None and not self.needs_second_factor and not self.is_refused_here

    @property
    def sees_masked(self) -> bool:
        """Personal data is masked in his answers (`bursar.rest.masking`)."""
        return OperatorRole.SUPPORT in {self.operator_role, self.viewer_role}

    def may(self, permission: Permission) -> bool:
        if self.is_viewing and not permission.is_read:
            return False
        return member_may(self.member_role, permission) or self.operates(permission)

    def operates(self, permission: Permission) -> bool:
        """May, as an operator."""
        return self.is_operator and operator_may(self.operator_role, permission)

    def as_actor(self) -> str:
        """What the audit log keeps of him, as JSON."""
        kind = "operator" if self.operator_role is not None or self.is_viewing else "member"
        return orjson.dumps(
            {
                "kind": "token" if self.session_id is None else kind,
                "id": self.id,
                "name": self.email or self.name,
                "address": None if self.address is None else str(self.address),
                "viewing": self.is_viewing,
            }
        ).decode()


def address_of(request: Request, control: Control) -> IPv4Address | IPv6Address | None:
    """Where the caller is, believing `X-Forwarded-For` of our own proxies only."""
    peer = request.client.host if request.client else None
    return client_address(peer, request.headers.raw, control.policy.trusted_proxies)


async def caller(
    request: Request,
    control: Means,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Who is calling, and what he is in the organisation of the path.

    Raises:
        NotAuthenticated: his token or cookie opens nothing.
        CsrfRefused: a browser's change came without what only our own pages know.
        NoSuchOrganisation: the organisation of the path is none of his.
    """
    said = credentials.credentials if credentials else None
    address = address_of(request, control)
    if said is not None and said.startswith(OPERATOR_TOKEN_PREFIX):
        found = await authenticate(control, said, address=address)
    else:
        found = await _person(request, control, said, address)
    request.state.is_masked = found.sees_masked
    return found


async def _person(
    request: Request, control: Control, said: str | None, address: IPv4Address | IPv6Address | None
) -> Caller:
    """Who signed in. Raises as `caller` does."""
    token = said or request.cookies.get(ACCESS_COOKIE)
    if not token:
        raise NotAuthenticated
    try:
        claims = await control.keys.verified(control.database, token, control.edge.now())
    except TokenInvalid as error:
        raise NotAuthenticated from error
    organisation_id = _organisation_of(request)
    row = await _signed_in(control, claims, organisation_id)
    if said is None and request.method not in SAFE_METHODS:
        _check_csrf(request, row["csrf_hash"])
    found = _caller_of(row, address, organisation_id, control)
    if organisation_id is not None and found.member_role is None and found.operator_role is None:
        raise NoSuchOrganisation
    if found.is_viewing and request.method not in SAFE_METHODS:
        raise ReadOnly
    return found


Calling = Annotated[Caller, Depends(caller)]


@dataclass(frozen=True, slots=True)
class May:
    """Policy of a route: its caller has this permission, in the organisation of its path if there is one."""

    permission: Permission

    async def __call__(self, calling: Calling) -> Caller:
        if not calling.may(self.permission):
            if operator_may(calling.operator_role, self.permission):
                raise TwoFactorRequired if calling.needs_second_factor else OperatorAddressRefused
            raise PermissionDenied(self.permission)
        return calling


def may(permission: Permission) -> list[params.Depends]:
    """A route's `dependencies`: the policy `May(permission)`."""
    return [Depends(May(permission))]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Policy of a route that concerns the caller himself: any person who signed in, no operator's token.

    Nor somebody who views as a customer: what is his own has no place among what he sees then.
    """

    async def __call__(self, request: Request, calling: Calling) -> Caller:
        if calling.session_id is None:
            raise NotAuthenticated
        if calling.is_viewing:
            raise ReadOnly
        request.state.is_masked = False  # it is himself he sees
        return calling


@dataclass(frozen=True, slots=True)
class Public:
    """Policy of a route for strangers; `why` is for whoever reads the list of them."""

    why: str

    async def __call__(self) -> None:
        """Everybody may."""


async def authenticate(
    control: Control, token: str, *, address: IPv4Address | IPv6Address | None = None
) -> Caller:
    """Look an operator's token up.

    Raises:
        NotAuthenticated: it opens nothing.
        OperatorAddressRefused: it opens nothing from there.
    """
    if not token or len(token) > TOKEN_LENGTH_MAX:
        raise NotAuthenticated
    async with control.database.read(accounts=True) as read:
        row = await _operator_by_digest(read, digest_of(token), control)
    if row is None:
        raise NotAuthenticated
    if not _may_operate_from(address, row["allowed_addresses"], control):
        raise OperatorAddressRefused
    return Caller(id=row["id"], name=row["name"], operator_role=OperatorRole(row["role"]), address=address)


async def _operator_by_digest(read: ReadSession, digest: bytes, control: Control) -> sa.RowMapping | None:
    now = control.edge.now()
    shown = operator_token.c
    question = sa.select(shown.id, shown.name, shown.role, shown.allowed_addresses).where(
        operator_token.c.token_hash == digest,
        operator_token.c.revoked_at.is_(None),
        sa.or_(operator_token.c.expires_at.is_(None), operator_token.c.expires_at > now),
    )
    return (await read.execute(question)).mappings().one_or_none()


async def _signed_in(control: Control, claims: Claims, organisation_id: UUID | None) -> sa.RowMapping:
    """The session, its person, and what he is in the organisation. Raises `NotAuthenticated`."""
    now = control.edge.now()
    question = (
        sa.select(
            session.c.id,
            session.c.csrf_hash,
            session.c.two_factor_at,
            session.c.viewing_organisation_id,
            session.c.viewing_until,
            app_user.c.id.label("user_id"),
            app_user.c.name,
            app_user.c.email,
            app_user.c.operator_role,
            app_user.c.operator_addresses,
            membership.c.role,
        )
        .join(app_user, app_user.c.id == session.c.user_id)
        .outerjoin(
            membership,
            sa.and_(membership.c.user_id == app_user.c.id, membership.c.organisation_id == organisation_id),
        )
        .where(
            session.c.id == claims.session_id,
            session.c.user_id == claims.user_id,
            session.c.revoked_at.is_(None),
            session.c.expires_at > now,
            app_user.c.status == "active",
        )
    )
    async with control.database.read(accounts=True) as read:
        row = (await read.execute(question)).mappings().one_or_none()
    if row is None:
        raise NotAuthenticated
    return row


def _caller_of(
    row: sa.RowMapping,
    address: IPv4Address | IPv6Address | None,
    organisation_id: UUID | None,
    control: Control,
) -> Caller:
    """Raises `NotAuthenticated`: he viewed as a customer, and his time is up or he no longer may."""
    role = None if row["operator_role"] is None else OperatorRole(row["operator_role"])
    is_refused = role is not None and not _may_operate_from(address, row["operator_addresses"], control)
    person = Caller(
        id=row["user_id"],
        name=row["name"],
        email=row["email"],
        address=address,
        session_id=row["id"],
        needs_second_factor=role is not None and row["two_factor_at"] is None,
        is_refused_here=is_refused,
    )
    viewed = row["viewing_organisation_id"]
    if viewed is None:
        member_role = None if row["role"] is None else MemberRole(row["role"])
        return replace(person, member_role=member_role, operator_role=role)
    is_over = row["viewing_until"] is None or row["viewing_until"] <= control.edge.now()
    if is_over or is_refused or person.needs_second_factor or not operator_may(role, Permission.VIEW_AS):
        raise NotAuthenticated
    return replace(
        person, viewer_role=role, member_role=MemberRole.OWNER if viewed == organisation_id else None
    )


def _may_operate_from(
    address: IPv4Address | IPv6Address | None, own: Sequence[str] | None, control: Control
) -> bool:
    """Whether an address is in everybody's list and in his own, as far as there are such lists."""
    lists = (control.policy.operator_addresses, Networks(own or ()))
    return all(not listed or (address is not None and address in listed) for listed in lists)


def _organisation_of(request: Request) -> UUID | None:
    """The organisation of the path; one that is no id is nobody's.

    Raises `NoSuchOrganisation`.
    """
    said = request.path_params.get("organisation_id")
    if said is None:
        return None
    try:
        return UUID(str(said))
    except ValueError as error:
        raise NoSuchOrganisation from error


def _check_csrf(request: Request, csrf_hash: bytes) -> None:
    """Raises `CsrfRefused`."""
    said = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(hashlib.sha256(said.encode()).digest(), bytes(csrf_hash)):
        raise CsrfRefused
