"""Somebody whom a source has proven: whose account that is, and what he may become by it."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from bursar.adapters.identity import Proven
from bursar.core.permissions import MemberRole
from bursar.core.webhooks import EventType
from bursar.db.engine import Transaction
from bursar.features.sign_in import queries
from bursar.features.sign_in.attempts import AttemptInvalid, Begun
from bursar.features.sign_in.linking import (
    Account,
    IdentityTaken,
    SignUpNeeded,
    account_opened,
)
from bursar.features.sign_in.role_map import role_of
from bursar.features.sign_in.sources import Chosen
from bursar.rest.account_opening import NewPerson, open_account, open_organisation
from bursar.rest.captured_domains import check_not_captured
from bursar.rest.control import Control
from bursar.rest.fields import NAME_LENGTH_MAX, printable
from bursar.rest.mail_domains import SHARED_DOMAINS, check_domain, domain_of
from bursar.rest.mails import IdentityLinked, ask_for_mail
from bursar.rest.problems import Conflict, Forbidden
from bursar.rest.throttles import Try, throttle
from bursar.rest.visits import Visit
from bursar.rest.webhook_events import ask_for_webhook

log = structlog.get_logger(__name__)

NO_ZONE: Final = "UTC"


class SingleSignOnRoleMissing(Forbidden):
    code = "single_sign_on_role_missing"

    def __init__(self) -> None:
        super().__init__("Your organisation gives you no role here: ask whoever runs its single sign-on.")


class OwnerComesFirst(Conflict):
    """An operator set single sign-on up for an organisation without anybody."""

    code = "owner_missing"

    def __init__(self) -> None:
        super().__init__("The first member of an organisation is its owner.")


class SignInRaced(Conflict):
    code = "sign_in_raced"

    def __init__(self) -> None:
        super().__init__("Somebody signed in with this address at the same moment: begin again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Who came back from where. `email`: what the source proved, in small letters."""

    chosen: Chosen
    proven: Proven
    email: str
    begun: Begun
    visit: Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Whose sign-in it is. `starter_key`: of an organisation that was opened for him just now."""

    account: Account
    starter_key: str | None = None


async def arrive(tx: Transaction, control: Control, arrival: Arrival) -> Arrived:
    """Find, link or make the account. `tx` acts as accounts.

    Raises:
        SingleSignOnRequired, SingleSignOnRoleMissing, IdentityTaken, SignUpNeeded, SignInRaced, TooManyTries
        AttemptInvalid: who links is not signed in any more.
        What `linking.account_opened` raises.
    """
    source, proven = arrival.chosen.source, arrival.proven
    linked = _account(await queries.linked_account(tx, source.key, proven.subject))
    by_email = _account(await queries.account_by_email(tx, arrival.email))
    if arrival.begun.linking is not None:
        account, starter_key = await _linking(tx, control, arrival.begun, linked), None
        await _check_capture(tx, arrival, account)
    else:
        known = account_opened(linked, by_email, arrival.chosen.domains)
        await _check_capture(tx, arrival, known)
        account, starter_key = (known, None) if known else await _made(tx, control, arrival)
    await _link(tx, control, arrival, account)
    if linked is None and (arrival.begun.linking is not None or by_email is not None):
        await _tell_linked(tx, control, arrival, account)
    if arrival.chosen.connection is not None:
        await _join(tx, control, arrival, arrival.chosen.connection, account)
    return Arrived(account=account, starter_key=starter_key)


async def _linking(tx: Transaction, control: Control, begun: Begun, linked: Account | None) -> Account:
    """Who links on purpose. Raises `AttemptInvalid`, `IdentityTaken`."""
    account = None
    if begun.session_id is not None:
        account = _account(await queries.account_of_session(tx, begun.session_id, control.edge.now()))
    if account is None or account.id != begun.linking or not account.is_active:
        raise AttemptInvalid
    if linked is not None and linked.id != account.id:
        raise IdentityTaken
    return account


async def _check_capture(tx: Transaction, arrival: Arrival, account: Account | None) -> None:
    """Raises `SingleSignOnRequired`: one of the addresses belongs to a domain that signs in elsewhere."""
    if arrival.chosen.connection is not None:
        return  # a domain is verified for one connection only, and this one speaks for it
    await check_not_captured(tx, [arrival.email, *([account.email] if account else [])])


async def _made(tx: Transaction, control: Control, arrival: Arrival) -> tuple[Account, str | None]:
    """A new account; its organisation's first key, when it has one.

    Raises:
        SignUpNeeded, SignInRaced, EmailRefused, TooManyTries
    """
    if arrival.chosen.connection is not None:
        return await _made_by_organisation(tx, control, arrival), None
    wanted, accepted = control.policy.sign_up, arrival.begun.accepted
    now_in_force = (wanted.terms_version, wanted.privacy_version)
    if accepted is None or (accepted.terms_version, accepted.privacy_version) != now_in_force:
        raise SignUpNeeded
    if not wanted.is_open:
        raise SignUpNeeded
    check_domain(arrival.email, wanted.refused_domains)
    await throttle(control, _tries(control, arrival))
    person = NewPerson(
        email=arrival.email,
        name=_name(arrival),
        locale=arrival.begun.language,
        time_zone=NO_ZONE,
        terms_version=accepted.terms_version,
        privacy_version=accepted.privacy_version,
        accepted_at=control.edge.now(),
    )
    user_id = await open_account(tx, control, person)
    key = None
    if accepted.organisation is not None:
        key = (await open_organisation(tx, control, user_id, person, name=accepted.organisation)).secret
    log.info("account.opened", user_id=str(user_id), source=arrival.chosen.source.key)
    return _fresh_account(user_id, arrival.email), key


def _tries(control: Control, arrival: Arrival) -> list[Try]:
    """Counted together with sign-ups by password."""
    wanted, network, domain = control.policy.sign_up, arrival.visit.network, domain_of(arrival.email)
    tries = [Try("sign_up_network", network, wanted.per_hour_per_network, wanted.per_hour_per_network)]
    if domain not in SHARED_DOMAINS:
        tries.append(Try("sign_up_domain", domain, wanted.per_hour_per_domain, wanted.per_hour_per_domain))
    return tries


async def _made_by_organisation(tx: Transaction, control: Control, arrival: Arrival) -> Account:
    """Just in time: the organisation vouches for its people, and has accepted the terms for them."""
    user_id, now = control.edge.new_id(), control.edge.now()
    row = {
        "id": user_id,
        "email": arrival.email,
        "name": _name(arrival),
        "locale": arrival.begun.language,
        "created_at": now,
        "email_verified_at": now,
    }
    if not await queries.insert_person(tx, row):
        raise SignInRaced
    return _fresh_account(user_id, arrival.email)


async def _link(tx: Transaction, control: Control, arrival: Arrival, account: Account) -> None:
    """Raises `SignInRaced`: the subject was linked to another meanwhile."""
    now = control.edge.now()
    row = {
        "id": control.edge.new_id(),
        "user_id": account.id,
        "source": arrival.chosen.source.key,
        "subject": arrival.proven.subject,
        "email": arrival.email,
        "created_at": now,
        "used_at": now,
    }
    if await queries.link(tx, row) != account.id:
        raise SignInRaced


async def _tell_linked(tx: Transaction, control: Control, arrival: Arrival, account: Account) -> None:
    """To his address here: whoever got hold of his account must not keep a key to it in silence."""
    person, now = await queries.addressee(tx, account.id), control.edge.now()
    values = IdentityLinked(
        provider=arrival.chosen.source.name,
        identity=arrival.email,
        at=now,
        link=f"{control.policy.public_url}/account/identities",
        name=person["name"] or None,
    )
    intent = f"identity_linked:{control.edge.new_id()}"
    await ask_for_mail(tx, values, to=person["email"], locale=person["locale"], intent=intent, now=now)


async def _join(
    tx: Transaction, control: Control, arrival: Arrival, connection: sa.RowMapping, account: Account
) -> None:
    """What he is in the organisation, by what its issuer says today.

    Raises:
        SingleSignOnRoleMissing, OwnerComesFirst
    """
    organisation_id, now = connection["organisation_id"], control.edge.now()
    present = await queries.role_in(tx, organisation_id, account.id)
    wanted = _role(arrival, connection, present)
    if wanted is present:
        return  # as nearly always
    if not await queries.lock_members(tx, organisation_id):
        raise OwnerComesFirst
    await queries.put_member(tx, organisation_id, account.id, wanted, now)
    kind = EventType.MEMBER_JOINED if present is None else EventType.MEMBER_CHANGED
    about = {"user_id": str(account.id), "role": wanted.value}
    await ask_for_webhook(tx, kind, about, organisation_id=organisation_id, now=now)


def _role(arrival: Arrival, connection: sa.RowMapping, present: MemberRole | None) -> MemberRole:
    """Raises `SingleSignOnRoleMissing`."""
    if present is MemberRole.OWNER:
        return present  # ownership is transferred here, never by a claim
    if present is not None and connection["role_claim"] == "":
        return present  # nothing is said of roles: what was given here stays
    default = connection["default_role"]
    told = role_of(
        arrival.proven.claims,
        claim=connection["role_claim"],
        mapped=connection["role_map"],
        default=None if default is None else MemberRole(default),
    )
    if told is None:
        raise SingleSignOnRoleMissing
    return told


def _account(row: sa.RowMapping | None) -> Account | None:
    if row is None:
        return None
    return Account(
        id=row["id"],
        email=row["email"],
        is_active=row["status"] == "active",
        is_verified=row["email_verified_at"] is not None,
        is_operator=row["operator_role"] is not None,
        has_second_factor=row["totp_confirmed_at"] is not None,
    )


def _fresh_account(user_id: UUID, email: str) -> Account:
    return Account(
        id=user_id,
        email=email,
        is_active=True,
        is_verified=True,
        is_operator=False,
        has_second_factor=False,
    )


def _name(arrival: Arrival) -> str:
    """What he is called there, if it can be printed."""
    name = " ".join(arrival.proven.name.split())[:NAME_LENGTH_MAX]
    try:
        return printable(name) or arrival.email.partition("@")[0]
    except ValueError:
        return arrival.email.partition("@")[0]
