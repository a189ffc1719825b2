"""HTTP of mails: the delivery log, dead letters and previews for operators; turning mails off for anybody."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import HTMLResponse

from bursar.core.messages import Language
from bursar.core.permissions import Permission
from bursar.features.mail import pages, service, unsubscribing
from bursar.features.mail.schemas import Message, Preview, Templates
from bursar.rest.callers import Public, may
from bursar.rest.control import Means
from bursar.rest.fields import EMAIL_LENGTH_MAX
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx
from bursar.rest.visits import Visiting

router = APIRouter(prefix="/mail", tags=["mail"])

TemplateName = Annotated[str, Path(max_length=50)]
Token = Annotated[str, Path(max_length=unsubscribing.TOKEN_LENGTH_MAX)]


@router.get("/messages", dependencies=may(Permission.MAIL_READ))
async def list_mails(
    read: OperatorRead,
    paging: Paging,
    state: Annotated[
        Literal["waiting", "sent", "dead", "skipped"] | None, Query(description="`dead`: the dead letters.")
    ] = None,
    template: Annotated[str | None, Query(max_length=50)] = None,
    recipient: Annotated[str | None, Query(max_length=EMAIL_LENGTH_MAX)] = None,
) -> Page[Message]:
    """List mails, newest first: to whom, and what came of it. What they say is not kept."""
    wanted = {"state": state, "template": template, "recipient": recipient}
    return await service.list_mails(read, paging, wanted)


@router.get("/messages/{mail_id}", responses=responses(404), dependencies=may(Permission.MAIL_READ))
async def show_mail(mail_id: UUID, read: OperatorRead) -> Message:
    """One line of the delivery log."""
    return await service.mail_by_id(read, mail_id)


@router.post(
    "/messages/{mail_id}/retry", responses=responses(404, 409), dependencies=may(Permission.MAIL_MANAGE)
)
async def retry_mail(mail_id: UUID, tx: OperatorTx, control: Means) -> Message:
    """Have a dead mail tried again, under the same Message-ID."""
    return await service.retry(tx, mail_id, edge=control.edge)


@router.get("/templates", dependencies=may(Permission.MAIL_READ))
async def list_mail_templates() -> Templates:
    """The kinds of mail, what each needs to know, and the languages."""
    return service.templates()


@router.get("/templates/{template}", responses=responses(404), dependencies=may(Permission.MAIL_READ))
async def preview_mail(template: TemplateName, control: Means, locale: Language = "en") -> Preview:
    """A mail of this kind with invented values, as the brand sends it."""
    return service.preview(template, locale, control.policy.brand)


@router.get(
    "/templates/{template}/page",
    response_class=HTMLResponse,
    responses=responses(404),
    dependencies=may(Permission.MAIL_READ),
)
async def show_mail_preview_page(template: TemplateName, control: Means) -> HTMLResponse:
    """A page with both parts of the mail in every language, to look at in a browser."""
    return pages.preview_page(template, service.previews(template, control.policy.brand))


@router.get(
    "/unsubscribe/{token}",
    response_class=HTMLResponse,
    responses=responses(404),
    dependencies=[Depends(Public("the link in a mail is all that its recipient has"))],
)
async def ask_to_unsubscribe(token: Token, control: Means) -> HTMLResponse:
    """A page with a button that turns mails of a kind off for an address. Opening it changes nothing."""
    wish = unsubscribing.wish_of(token, control.seal)
    return pages.question_page(wish.locale, wish.recipient)


@router.post(
    "/unsubscribe/{token}",
    response_class=HTMLResponse,
    responses=responses(404),
    dependencies=[Depends(Public("the link in a mail is all that its recipient, or his mail program, has"))],
)
async def unsubscribe(token: Token, control: Means, visit: Visiting) -> HTMLResponse:
    """Turn mails of a kind off for an address, at one click (RFC 8058)."""
    wish = unsubscribing.wish_of(token, control.seal)
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        await unsubscribing.turn_off(tx, wish, edge=control.edge)
    return pages.done_page(wish.locale, wish.recipient)
