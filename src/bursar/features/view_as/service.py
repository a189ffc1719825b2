"""Viewing as a customer: support sees what an organisation's owner sees, for a while, and the customer knows.

Read only, bound to one organisation, over by itself. Who started it, why and until when is a row the
customer can read, a mail to owners and admins, and an event for webhooks.
"""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.outbox import publish
from bursar.features.view_as import queries
from bursar.features.view_as.schemas import NewViewing, StartedViewing, Viewing
from bursar.rest.callers import Caller, NoSuchOrganisation
from bursar.rest.control import Control
from bursar.rest.edge import Edge
from bursar.rest.mails import ViewAs, ask_for_mail
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Forbidden, NotFound
from bursar.rest.sign_ins import end_session
from bursar.rest.viewings import open_viewing


class ViewingNotFound(NotFound):
    code = "viewing_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no viewing with this id.")


class ViewerUnknown(Forbidden):
    """A token is nobody: the customer is to be told who looks."""

    code = "viewer_unknown"

    def __init__(self) -> None:
        super().__init__("Only a person who signed in views as a customer, no operator token.")


async def start(
    tx: Transaction, organisation_id: UUID, wanted: NewViewing, *, viewer: Caller, control: Control
) -> StartedViewing:
    """Open a viewing and announce it. `tx` acts as accounts.

    Raises:
        ViewerUnknown, NoSuchOrganisation
    """
    if viewer.user_id is None:
        raise ViewerUnknown
    name = await queries.organisation_named(tx, organisation_id)
    if name is None:
        raise NoSuchOrganisation
    now = control.edge.now()
    until = now + timedelta(minutes=wanted.minutes)
    address = "" if viewer.address is None else str(viewer.address)
    opened = await open_viewing(tx, control, viewer.user_id, organisation_id, until=until, address=address)
    viewing = Viewing(
        id=control.edge.new_id(),
        organisation_id=organisation_id,
        operator_id=viewer.user_id,
        reason=wanted.reason,
        started_at=now,
        until=until,
        ended_at=None,
    )
    row = viewing.model_dump(exclude={"operator_id", "ended_at"})
    await queries.insert_viewing(tx, {**row, "user_id": viewer.user_id, "session_id": opened.session_id})
    await _announce(tx, viewing, organisation=name, operator=viewer.name or "Support")
    return StartedViewing(**viewing.model_dump(), access_token=opened.access_token)


async def _announce(tx: Transaction, viewing: Viewing, *, organisation: str, operator: str) -> None:
    said = ViewAs(
        organisation=organisation,
        operator=operator,
        reason=viewing.reason,
        at=viewing.started_at,
        until=viewing.until,
    )
    for person in await queries.those_to_tell(tx, viewing.organisation_id):
        await ask_for_mail(
            tx,
            said,
            to=person["email"],
            locale=person["locale"],
            intent=f"view_as:{viewing.id}:{person['id']}",
            now=viewing.started_at,
            organisation_id=viewing.organisation_id,
        )
    told = {
        "type": "support.viewing",
        "data": {
            "viewing_id": str(viewing.id),
            "operator_id": str(viewing.operator_id),
            "reason": viewing.reason,
            "until": viewing.until.isoformat(),
        },
    }
    await publish(tx, "webhook", told, now=viewing.started_at, organisation_id=viewing.organisation_id)


async def end(tx: Transaction, organisation_id: UUID, viewing_id: UUID, *, edge: Edge) -> Viewing:
    """End a viewing at once; twice is no error. `tx` acts as accounts. Raises `ViewingNotFound`."""
    row = await queries.viewing_by_id(tx, organisation_id, viewing_id)
    if row is None:
        raise ViewingNotFound
    now = edge.now()
    await end_session(tx, row["session_id"], now)
    if row["until"] > now:
        await queries.end(tx, viewing_id, now)
    ended = await queries.viewing_by_id(tx, organisation_id, viewing_id)
    assert ended is not None  # noqa: S101 - it was there a moment ago, and nothing removes one
    return show(ended)


async def list_viewings(read: ReadSession, organisation_id: UUID, asked: PageAsked) -> Page[Viewing]:
    """Raises `NoSuchOrganisation`."""
    if await queries.organisation_named(read, organisation_id) is None:
        raise NoSuchOrganisation
    rows = await queries.viewings_before(
        read, organisation_id, before=asked.after(uuid_key), limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


def show(row: sa.RowMapping) -> Viewing:
    return Viewing.model_validate(dict(row))
