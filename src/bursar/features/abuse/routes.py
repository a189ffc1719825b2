"""HTTP of suspects of abuse, for operators."""

from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.abuse import service
from bursar.features.abuse.schemas import NewDecision, Suspect, SuspectStatus
from bursar.rest.callers import Calling, may
from bursar.rest.control import Means
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx

router = APIRouter(prefix="/abuse/suspects", tags=["abuse"])


@router.get("", dependencies=may(Permission.ABUSE_READ))
async def list_suspects(
    read: OperatorRead, paging: Paging, status: SuspectStatus | None = None
) -> Page[Suspect]:
    """List who is suspected of abuse, newest first. `status=open` is the queue."""
    return await service.list_suspects(read, paging, status=status)


@router.get("/{suspect_id}", responses=responses(404), dependencies=may(Permission.ABUSE_READ))
async def get_suspect(suspect_id: UUID, read: OperatorRead) -> Suspect:
    """Show one suspect and what was found."""
    return await service.get_suspect(read, suspect_id)


@router.post("/{suspect_id}/decide", responses=responses(404, 409), dependencies=may(Permission.ABUSE_MANAGE))
async def decide_on_suspect(
    suspect_id: UUID, body: NewDecision, tx: OperatorTx, calling: Calling, control: Means
) -> Suspect:
    """Clear a suspect and lift its suspension, suspend its organisation, or close it for good."""
    return await service.decide(tx, suspect_id, body, decided_by=calling.id, edge=control.edge)
