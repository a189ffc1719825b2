"""Whose people sign in at a connection: domains, proven by a TXT record in DNS."""

from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from bursar.adapters.dns import DnsUnavailable
from bursar.db.engine import ReadSession, Transaction
from bursar.features.sign_in import sso_queries as queries
from bursar.features.sign_in.attempts import fresh
from bursar.features.sign_in.connections import get_connection
from bursar.features.sign_in.schemas import DomainChange, NewDomain, SsoDomain
from bursar.rest.control import Control
from bursar.rest.problems import Conflict, NotFound, Refusal

log = structlog.get_logger(__name__)

RECORD_NAME: Final = "_bursar.{}"
RECORD_VALUE: Final = "bursar-domain-verification={}"
DOMAINS_MAX: Final = 50


class DomainNotFound(NotFound):
    code = "sso_domain_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no domain with this id.")


class DomainExists(Conflict):
    code = "sso_domain_exists"

    def __init__(self) -> None:
        super().__init__("This organisation has this domain already.")


class DomainsFull(Conflict):
    code = "too_many_sso_domains"

    def __init__(self) -> None:
        super().__init__(f"An organisation has at most {DOMAINS_MAX} domains.")


class DomainTaken(Conflict):
    code = "sso_domain_taken"

    def __init__(self) -> None:
        super().__init__("Another organisation has verified this domain.")


class DomainUnproven(Conflict):
    code = "sso_domain_unproven"

    def __init__(self) -> None:
        super().__init__("DNS does not show the TXT record yet: what was just published may take an hour.")


class NameServersAway(Refusal):
    status = 424
    code = "name_servers_away"

    def __init__(self) -> None:
        super().__init__("The name servers do not answer; nothing is proven either way. Retry shortly.")


async def add_domain(
    tx: Transaction, organisation_id: UUID, wanted: NewDomain, control: Control
) -> SsoDomain:
    """Raises `ConnectionNotFound`, `DomainExists`, `DomainsFull`."""
    await get_connection(tx, organisation_id, wanted.connection_id, control)
    if len(await queries.domains_of(tx, organisation_id)) >= DOMAINS_MAX:
        raise DomainsFull
    row = {
        **wanted.model_dump(),
        "id": control.edge.new_id(),
        "organisation_id": organisation_id,
        "challenge": fresh(),
        "created_at": control.edge.now(),
    }
    if not await queries.insert_domain(tx, row):
        raise DomainExists
    return await get_domain(tx, organisation_id, row["id"])


async def list_domains(read: ReadSession, organisation_id: UUID) -> list[SsoDomain]:
    return [show(row) for row in await queries.domains_of(read, organisation_id)]


async def get_domain(read: ReadSession | Transaction, organisation_id: UUID, domain_id: UUID) -> SsoDomain:
    """Raises `DomainNotFound`."""
    row = await queries.domain_by_id(read, organisation_id, domain_id)
    if row is None:
        raise DomainNotFound
    return show(row)


async def change_domain(
    tx: Transaction, organisation_id: UUID, domain_id: UUID, change: DomainChange
) -> SsoDomain:
    """Raises `DomainNotFound`."""
    await get_domain(tx, organisation_id, domain_id)
    await queries.update_domain(tx, organisation_id, domain_id, change.model_dump())
    return await get_domain(tx, organisation_id, domain_id)


async def delete_domain(tx: Transaction, organisation_id: UUID, domain_id: UUID) -> SsoDomain:
    """Its people sign in as everybody does. Raises `DomainNotFound`."""
    found = await get_domain(tx, organisation_id, domain_id)
    await queries.delete_domain(tx, organisation_id, domain_id)
    return found


async def look_for_proof(control: Control, domain: SsoDomain) -> None:
    """Ask DNS; outside every transaction.

    Raises:
        DomainUnproven, NameServersAway
    """
    if control.txt_records is None:
        raise NameServersAway
    try:
        said = await control.txt_records.texts(domain.record_name)
    except DnsUnavailable as error:
        log.warning("domain.name_servers_away", domain=domain.domain, error=str(error))
        raise NameServersAway from error
    if domain.record_value not in [text.strip() for text in said]:
        raise DomainUnproven


async def mark_verified(tx: Transaction, organisation_id: UUID, domain_id: UUID, now: datetime) -> SsoDomain:
    """What DNS has just shown. The first organisation that proves a domain has it.

    Raises:
        DomainNotFound, DomainTaken
    """
    await get_domain(tx, organisation_id, domain_id)
    try:
        async with tx.begin_nested():
            await queries.update_domain(tx, organisation_id, domain_id, {"verified_at": now})
    except IntegrityError as error:
        raise DomainTaken from error
    return await get_domain(tx, organisation_id, domain_id)


def show(row: sa.RowMapping) -> SsoDomain:
    return SsoDomain.model_validate(
        {
            **row,
            "record_name": RECORD_NAME.format(row["domain"]),
            "record_value": RECORD_VALUE.format(row["challenge"]),
        }
    )
