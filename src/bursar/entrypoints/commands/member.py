"""`bursar member`: who belongs to an organisation, and who is asked to."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Organisation

app = typer.Typer(help="Members of organisations, and invitations.", no_args_is_help=True)

Person = Annotated[str, typer.Argument(help="A member: his mail address or his id.")]
Role = Annotated[str, typer.Argument(help="admin, billing, developer or viewer.")]
InvitationId = Annotated[str, typer.Argument(help="The invitation's id, from `bursar member invitations`.")]


@app.command("list")
def list_all(
    organisation: Organisation, *, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """List an organisation's members, the oldest accounts first."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.members import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(_control: Control, read: ReadSession) -> Page[schemas.Member]:
        return await service.list_members(
            read, await organisation_id(read, organisation), page(limit, cursor)
        )

    tell_page(look(work), ("user_id", "email", "name", "role", "joined_at", "two_factor"), as_json=as_json)


@app.command()
def invite(
    organisation: Organisation,
    email: Annotated[str, typer.Argument(help="Whom to mail a link to.")],
    role: Annotated[str, typer.Argument(help="owner (of one without members), admin, billing, …")],
    *,
    locale: Annotated[str, typer.Option(help="Of the mail: en, ko or zh.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Invite somebody by mail; the first member is the owner."""
    from bursar.entrypoints.commands.by_hand import HAND, Place, in_organisation
    from bursar.entrypoints.commands.session import asked
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.members import invitations, schemas

    wanted = asked(schemas.NewInvitation, email=email, role=role, locale=locale)

    async def work(at: Place) -> schemas.Invitation:
        return await invitations.invite(at.tx, at.organisation_id, wanted, calling=HAND, control=at.control)

    tell(in_organisation(organisation, work), as_json=as_json)


@app.command("invitations")
def list_invitations(
    organisation: Organisation, *, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """List an organisation's invitations, newest first, whatever became of them."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.members import invitations, schemas
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(control: Control, read: ReadSession) -> Page[schemas.Invitation]:
        named = await organisation_id(read, organisation)
        return await invitations.list_invitations(read, named, page(limit, cursor), now=control.edge.now())

    tell_page(look(work), ("id", "email", "role", "status", "sent_at", "expires_at"), as_json=as_json)


@app.command()
def resend(organisation: Organisation, invitation: InvitationId, *, as_json: AsJson = False) -> None:
    """Mail a new link; the old one opens nothing any more."""
    from bursar.entrypoints.commands.by_hand import HAND, Place, in_organisation
    from bursar.entrypoints.commands.session import a_uuid
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.members import invitations, schemas

    number = a_uuid(invitation, "INVITATION")

    async def work(at: Place) -> schemas.Invitation:
        return await invitations.resend(at.tx, at.organisation_id, number, calling=HAND, control=at.control)

    tell(in_organisation(organisation, work), as_json=as_json)


@app.command()
def revoke(organisation: Organisation, invitation: InvitationId, *, as_json: AsJson = False) -> None:
    """Withdraw an invitation that was not accepted yet."""
    from bursar.entrypoints.commands.by_hand import HAND, Place, in_organisation
    from bursar.entrypoints.commands.session import a_uuid
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.members import invitations, schemas

    number = a_uuid(invitation, "INVITATION")

    async def work(at: Place) -> schemas.Invitation:
        now = at.control.edge.now()
        return await invitations.revoke(at.tx, at.organisation_id, number, calling=HAND, now=now)

    tell(in_organisation(organisation, work), as_json=as_json)


@app.command()
def role(organisation: Organisation, person: Person, role: Role, *, as_json: AsJson = False) -> None:
    """Give a member another role; it counts from his next request on."""
    from bursar.entrypoints.commands.by_hand import HAND, Place, in_organisation
    from bursar.entrypoints.commands.session import asked
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.members import schemas, service

    wanted = asked(schemas.RoleChange, role=role)

    async def work(at: Place) -> schemas.Member:
        now, user_id = at.control.edge.now(), await service.find_member(at.tx, at.organisation_id, person)
        return await service.change_role(
            at.tx, at.organisation_id, user_id, wanted.role, calling=HAND, now=now
        )

    tell(in_organisation(organisation, work), as_json=as_json)


@app.command()
def remove(
    organisation: Organisation,
    person: Person,
    *,
    revoke_keys: Annotated[bool, typer.Option(help="Also revoke the API keys he made.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a member, at once."""
    from bursar.entrypoints.commands.by_hand import HAND, Place, in_organisation
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.members import schemas, service

    async def work(at: Place) -> schemas.Removed:
        now, user_id = at.control.edge.now(), await service.find_member(at.tx, at.organisation_id, person)
        return await service.remove_member(
            at.tx, at.organisation_id, user_id, with_keys=revoke_keys, calling=HAND, now=now
        )

    tell(in_organisation(organisation, work), as_json=as_json)


@app.command()
def transfer(organisation: Organisation, person: Person, *, as_json: AsJson = False) -> None:
    """Make a member the owner; the owner before him becomes an administrator."""
    from bursar.entrypoints.commands.by_hand import HAND, Place, in_organisation
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.members import schemas, service

    async def work(at: Place) -> schemas.Member:
        now, user_id = at.control.edge.now(), await service.find_member(at.tx, at.organisation_id, person)
        return await service.transfer_ownership(at.tx, at.organisation_id, user_id, calling=HAND, now=now)

    tell(in_organisation(organisation, work), as_json=as_json)
