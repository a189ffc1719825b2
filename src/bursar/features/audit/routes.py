"""HTTP of the audit log: an organisation's own, and everything for operators."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from bursar.core.permissions import OperatorRole, Permission
from bursar.db.engine import ReadSession
from bursar.features.audit import service
from bursar.features.audit.schemas import Action, ActorKind, AuditEntry, Format
from bursar.features.audit.service import Eyes, Filters
from bursar.rest.callers import Caller, Calling, may
from bursar.rest.control import Control, Means
from bursar.rest.fields import Moment, Text
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OrganisationRead

router = APIRouter(tags=["audit"])

MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All entries that match, newest first, as they are read.",
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/AuditEntry"}}
            },
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


def filters(  # noqa: PLR0913, PLR0917 - each is one filter of the listing
    since: Annotated[Moment | None, Query(description="Absent: 31 days before `until`.")] = None,
    until: Annotated[Moment | None, Query(description="Absent: now. Not included.")] = None,
    actor_id: UUID | None = None,
    actor_kind: ActorKind | None = None,
    action: Action | None = None,
    subject: Annotated[Text | None, Query(description="Such as `api_key`.")] = None,
    subject_id: Text | None = None,
    text: Annotated[Text | None, Query(description="What stands in the change, in any case.")] = None,
) -> Filters:
    return Filters(
        since=since,
        until=until,
        actor_id=actor_id,
        actor_kind=actor_kind,
        action=action,
        subject=subject,
        subject_id=subject_id,
        text=text,
    )


Narrowed = Annotated[Filters, Depends(filters)]


def eyes_of(calling: Caller) -> Eyes:
    """How a caller sees the log of the organisation of his path."""
    if calling.member_role is not None:
        return Eyes.MEMBER
    return Eyes.SUPPORT if calling.operator_role is OperatorRole.SUPPORT else Eyes.OPERATOR


@router.get(
    "/organisations/{organisation_id}/audit",
    responses=responses(404),
    dependencies=may(Permission.AUDIT_READ),
)
async def list_audit(  # noqa: PLR0913, PLR0917 - FastAPI gives each
    organisation_id: UUID,
    read: OrganisationRead,
    control: Means,
    calling: Calling,
    narrowed: Narrowed,
    paging: Paging,
) -> Page[AuditEntry]:
    """Search what was changed in an organisation, newest first."""
    eyes = eyes_of(calling)
    wanted = narrowed.wanted(organisation_id, eyes, control.edge.now())
    return await service.search(read, wanted, paging, eyes=eyes)


@router.get(
    "/organisations/{organisation_id}/audit/export",
    response_class=StreamingResponse,
    responses=EXPORTED | responses(404),
    dependencies=may(Permission.AUDIT_READ),
)
async def export_audit(
    organisation_id: UUID,
    control: Means,
    calling: Calling,
    narrowed: Narrowed,
    form: Annotated[Format, Query(alias="format")] = "json",
) -> StreamingResponse:
    """Download what was changed in an organisation, as JSON or CSV."""
    eyes = eyes_of(calling)
    wanted = narrowed.wanted(organisation_id, eyes, control.edge.now())

    def reading() -> AbstractAsyncContextManager[ReadSession]:
        return control.database.read(organisation=organisation_id, user=calling.user_id)

    return await streamed(service.export(reading, wanted, eyes=eyes, form=form), form)


@router.get("/audit", dependencies=may(Permission.PLATFORM_AUDIT_READ))
async def list_platform_audit(
    read: OperatorRead,
    control: Means,
    narrowed: Narrowed,
    paging: Paging,
    organisation_id: UUID | None = None,
) -> Page[AuditEntry]:
    """Search what was changed anywhere, newest first."""
    wanted = narrowed.wanted(organisation_id, Eyes.OPERATOR, control.edge.now())
    return await service.search(read, wanted, paging, eyes=Eyes.OPERATOR)


@router.get(
    "/audit/export",
    response_class=StreamingResponse,
    responses=EXPORTED,
    dependencies=may(Permission.PLATFORM_AUDIT_READ),
)
async def export_platform_audit(
    control: Means,
    narrowed: Narrowed,
    organisation_id: UUID | None = None,
    form: Annotated[Format, Query(alias="format")] = "json",
) -> StreamingResponse:
    """Download what was changed anywhere, as JSON or CSV."""
    wanted = narrowed.wanted(organisation_id, Eyes.OPERATOR, control.edge.now())
    return await streamed(service.export(operators(control), wanted, eyes=Eyes.OPERATOR, form=form), form)


def operators(control: Control) -> service.Reading:
    return lambda: control.database.read(operator=True)


async def streamed(chunks: AsyncIterator[bytes], form: Format) -> StreamingResponse:
    """The first page is read before the answer begins, so that a failure can still be told as one."""
    first = await anext(chunks)

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return StreamingResponse(
        all_of_them(),
        media_type=MEDIA_TYPES[form],
        headers={"content-disposition": f'attachment; filename="audit.{form}"', "cache-control": "no-store"},
    )
