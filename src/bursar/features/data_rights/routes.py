"""HTTP of data exports and deletions: an organisation's, and one's own."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from bursar.core.permissions import Permission
from bursar.db.engine import ReadSession
from bursar.features.data_rights import deletions, exports
from bursar.features.data_rights.queries import Owner
from bursar.features.data_rights.schemas import DataExport, DeleteAccount, DeleteOrganisation, Deletion
from bursar.rest.callers import Caller, Calling, PermissionDenied, SignedIn, may
from bursar.rest.control import Control, Means
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import AccountsTx, OrganisationRead, OrganisationTx, PersonRead

router = APIRouter(prefix="/organisations/{organisation_id}", tags=["data rights"])
own_router = APIRouter(prefix="/me", tags=["data rights"], dependencies=[Depends(SignedIn())])

ARCHIVE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The archive.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/data-exports",
    status_code=202,
    responses=responses(404, 409, 429),
    dependencies=may(Permission.DATA_EXPORT),
)
async def ask_for_export(
    organisation_id: UUID, tx: OrganisationTx, control: Means, calling: Calling
) -> DataExport:
    """Have an archive made of all there is of an organisation. Who asks is mailed when it is ready."""
    owner = Owner(organisation_id=organisation_id)
    return await exports.ask(tx, owner, asked_by=calling.user_id, edge=control.edge)


@router.get("/data-exports", responses=responses(404), dependencies=may(Permission.DATA_EXPORT))
async def list_exports(organisation_id: UUID, read: OrganisationRead, paging: Paging) -> Page[DataExport]:
    """List an organisation's data exports, newest first."""
    return await exports.listed(read, Owner(organisation_id=organisation_id), paging)


@router.get(
    "/data-exports/{export_id}/archive",
    response_class=StreamingResponse,
    responses=ARCHIVE | responses(404, 409),
    dependencies=may(Permission.DATA_EXPORT),
)
async def download_export(
    organisation_id: UUID, export_id: UUID, control: Means, calling: Calling
) -> StreamingResponse:
    """Download an organisation's archive while it is there. Nobody who views as the customer may."""
    if calling.is_viewing:
        raise PermissionDenied(Permission.DATA_EXPORT)

    def reading() -> AbstractAsyncContextManager[ReadSession]:
        return control.database.read(organisation=organisation_id)

    return await _archive(control, reading, Owner(organisation_id=organisation_id), export_id)


@router.post(
    "/deletion",
    status_code=202,
    responses=responses(404, 409),
    dependencies=may(Permission.ORGANISATION_CLOSE),
)
async def delete_organisation(
    organisation_id: UUID, body: DeleteOrganisation, tx: OrganisationTx, control: Means, calling: Calling
) -> Deletion:
    """Have an organisation and its data deleted after a time of grace. Its ledger stays, under no name."""
    return await deletions.delete_organisation(tx, control, calling, organisation_id, body)


@router.get("/deletion", responses=responses(404), dependencies=may(Permission.ORGANISATION_CLOSE))
async def get_organisation_deletion(organisation_id: UUID, read: OrganisationRead) -> Deletion:
    """Show when an organisation is deleted."""
    return await deletions.get(read, Owner(organisation_id=organisation_id))


@router.delete("/deletion", responses=responses(404), dependencies=may(Permission.ORGANISATION_CLOSE))
async def cancel_organisation_deletion(organisation_id: UUID, tx: OrganisationTx, control: Means) -> Deletion:
    """Take an organisation's deletion back."""
    return await deletions.cancel(tx, Owner(organisation_id=organisation_id), control.edge.now())


@own_router.post("/data-exports", status_code=202, responses=responses(409, 429))
async def ask_for_my_export(tx: AccountsTx, control: Means, calling: Calling) -> DataExport:
    """Have an archive made of what is kept of oneself. A mail tells when it is ready."""
    return await exports.ask(tx, own(calling), asked_by=calling.id, edge=control.edge)


@own_router.get("/data-exports")
async def list_my_exports(read: PersonRead, calling: Calling, paging: Paging) -> Page[DataExport]:
    """List one's own data exports, newest first."""
    return await exports.listed(read, own(calling), paging)


@own_router.get(
    "/data-exports/{export_id}/archive",
    response_class=StreamingResponse,
    responses=ARCHIVE | responses(404, 409),
)
async def download_my_export(export_id: UUID, control: Means, calling: Calling) -> StreamingResponse:
    """Download one's own archive while it is there."""

    def reading() -> AbstractAsyncContextManager[ReadSession]:
        return control.database.read(user=calling.id)

    return await _archive(control, reading, own(calling), export_id)


@own_router.post("/deletion", status_code=202, responses=responses(409))
async def delete_me(body: DeleteAccount, tx: AccountsTx, control: Means, calling: Calling) -> Deletion:
    """Have one's account and personal data deleted after a time of grace."""
    return await deletions.delete_account(tx, control, calling, body)


@own_router.get("/deletion", responses=responses(404))
async def get_my_deletion(read: PersonRead, calling: Calling) -> Deletion:
    """Show when one's account is deleted."""
    return await deletions.get(read, own(calling))


@own_router.delete("/deletion", responses=responses(404))
async def cancel_my_deletion(tx: AccountsTx, control: Means, calling: Calling) -> Deletion:
    """Take one's deletion back."""
    return await deletions.cancel(tx, own(calling), control.edge.now())


def own(calling: Caller) -> Owner:
    return Owner(user_id=calling.id)


async def _archive(
    control: Control, reading: exports.Reading, owner: Owner, export_id: UUID
) -> StreamingResponse:
    size_bytes, pieces = await exports.archive(reading, owner, export_id, edge=control.edge)
    headers = {
        "content-disposition": f'attachment; filename="bursar-{export_id}.zip"',
        "content-length": str(size_bytes),
        "cache-control": "no-store",
    }
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)
