"""Domains whose people sign in at their organisation, and nowhere else.

For every way to sign in: a password or a button that still opened the door would be a way around what the
organisation decided, such as that who left it is let in no more.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.permissions import MemberRole
from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import app_user, membership, organisation, sso_connection, sso_domain
from bursar.rest.mail_domains import domain_of
from bursar.rest.problems import Forbidden

START: Final = "/api/v1/auth/sso/{}/start"


class SingleSignOnRequired(Forbidden):
    """`start`: where the browser goes instead."""

    code = "single_sign_on_required"

    def __init__(self, connection_id: UUID) -> None:
        super().__init__("People of this domain sign in at their organisation.")
        self.members = {"start": START.format(connection_id)}


async def capturing(read: ReadSession | Transaction, emails: Iterable[str]) -> Mapping[str, UUID]:
    """The domains of these addresses that are captured, and by which connection. Asked as accounts."""
    question = (
        sa.select(sso_domain.c.domain, sso_domain.c.connection_id)
        .join(sso_connection, sso_connection.c.id == sso_domain.c.connection_id)
        .join(organisation, organisation.c.id == sso_domain.c.organisation_id)
        .where(
            sso_domain.c.domain.in_([domain_of(email) for email in emails]),
            sso_domain.c.verified_at.is_not(None),
            sso_domain.c.captures,
            sso_connection.c.active,
            organisation.c.status != "closed",
        )
    )
    return {row.domain: row.connection_id for row in await read.execute(question)}


async def check_not_captured(read: ReadSession | Transaction, emails: Iterable[str]) -> None:
    """Raises `SingleSignOnRequired` for the first of these addresses whose domain is captured."""
    every = list(emails)
    captured = await capturing(read, every)
    for email in every:
        if domain_of(email) in captured:
            raise SingleSignOnRequired(captured[domain_of(email)])


async def check_password_opens(read: ReadSession | Transaction, user_id: UUID) -> None:
    """After the password was right: whether it is enough.

    It is for operators and the organisation's owners: somebody must get in when single sign-on is broken.

    Raises:
        SingleSignOnRequired
    """
    owns = (
        sa.select(membership.c.user_id)
        .join(sso_domain, sso_domain.c.organisation_id == membership.c.organisation_id)
        .where(
            membership.c.user_id == app_user.c.id,
            membership.c.role == MemberRole.OWNER.value,
            sso_domain.c.domain == sa.func.split_part(app_user.c.email, "@", 2),
            sso_domain.c.verified_at.is_not(None),
        )
    )
    question = sa.select(app_user.c.email).where(
        app_user.c.id == user_id, app_user.c.operator_role.is_(None), ~owns.exists()
    )
    email = (await read.execute(question)).scalar_one_or_none()
    if email is not None:
        await check_not_captured(read, [email])


async def check_may_move(read: ReadSession | Transaction, user_id: UUID, email: str) -> None:
    """Before `email` becomes somebody's address: out of a captured domain he would sign in by password.

    Raises:
        SingleSignOnRequired
    """
    present = (await read.execute(sa.select(app_user.c.email).where(app_user.c.id == user_id))).scalar_one()
    if domain_of(present) != domain_of(email):
        await check_password_opens(read, user_id)
