"""`bursar key`: API keys."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Organisation

app = typer.Typer(help="API keys: made, restricted, rotated, revoked.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="The key's id, from `bursar key list`.")]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="A model it may use, or a pattern; may be repeated.")
]
Project = Annotated[
    str | None, typer.Option("--project", help="A project of the organisation: its name or id.")
]
Rpm = Annotated[int | None, typer.Option("--requests-per-minute", help="Absent: 60.")]
Expires = Annotated[str | None, typer.Option("--expires-at", help="Such as 2027-01-31T00:00:00Z.")]


@app.command()
def create(
    organisation: Organisation,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    *,
    project: Project = None,
    model: Models = None,
    requests_per_minute: Rpm = None,
    expires_at: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, in the project `Default` unless another is named. Its secret is printed this once."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id, project_id
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.keys import schemas, service
    from bursar.rest.control import Control

    wanted = asked(
        schemas.NewKey,
        name=name,
        allowed_models=model or None,
        requests_per_minute=requests_per_minute,
        expires_at=expires_at,
    )

    async def work(control: Control, tx: Transaction) -> schemas.IssuedKey:
        named = await organisation_id(tx, organisation)
        if project is not None:
            wanted.project_id = await project_id(tx, named, project)
        return await service.create_key(tx, named, wanted, control=control, sets_limits=True)

    tell(transact(work), as_json=as_json)


@app.command("list")
def list_all(
    organisation: Organisation, *, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """List an organisation's keys, newest first, without their secrets."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.keys import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(_control: Control, read: ReadSession) -> Page[schemas.Key]:
        return await service.list_keys(read, await organisation_id(read, organisation), page(limit, cursor))

    columns = (
        "id",
        "name",
        "project_id",
        "visible",
        "active",
        "requests_per_minute",
        "allowed_models",
        "expires_at",
    )
    tell_page(look(work), columns, as_json=as_json)


@app.command()
def change(
    organisation: Organisation,
    key: KeyId,
    *,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    project: Project = None,
    model: Models = None,
    requests_per_minute: Rpm = None,
    expires_at: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Rename a key, move it to another project, or change what it may do."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id, project_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.keys import schemas, service
    from bursar.rest.control import Control

    wanted = asked(
        schemas.KeyChange,
        name=name,
        allowed_models=model or None,
        requests_per_minute=requests_per_minute,
        expires_at=expires_at,
    )
    key_id = a_uuid(key, "KEY")

    async def work(control: Control, tx: Transaction) -> schemas.Key:
        named = await organisation_id(tx, organisation)
        if project is not None:
            wanted.project_id = await project_id(tx, named, project)
        return await service.change_key(tx, named, key_id, wanted, control=control, sets_limits=True)

    tell(transact(work), as_json=as_json)


@app.command()
def revoke(organisation: Organisation, key: KeyId, *, as_json: AsJson = False) -> None:
    """Stop a key for good, within a second."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import a_uuid, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.keys import schemas, service
    from bursar.rest.control import Control

    key_id = a_uuid(key, "KEY")

    async def work(control: Control, tx: Transaction) -> schemas.Key:
        named = await organisation_id(tx, organisation)
        return await service.revoke_key(tx, named, key_id, edge=control.edge)

    tell(transact(work), as_json=as_json)


@app.command()
def rotate(
    organisation: Organisation,
    key: KeyId,
    *,
    grace_period_s: Annotated[
        int, typer.Option(help="How long the old key still works, in seconds.")
    ] = 86_400,
    as_json: AsJson = False,
) -> None:
    """Make a successor with the same rights. Its secret is printed this once."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.keys import schemas, service
    from bursar.rest.control import Control

    rotation = asked(schemas.Rotation, grace_period_s=grace_period_s)
    key_id = a_uuid(key, "KEY")

    async def work(control: Control, tx: Transaction) -> schemas.IssuedKey:
        named = await organisation_id(tx, organisation)
        return await service.rotate_key(tx, named, key_id, rotation, control=control)

    tell(transact(work), as_json=as_json)
