"""The operator's view of mails: the delivery log, dead letters, previews."""

from collections.abc import Mapping
from typing import get_args
from uuid import UUID

import sqlalchemy as sa

from bursar.core.brand import Brand
from bursar.core.messages import Language
from bursar.db.engine import ReadSession, Transaction
from bursar.features.mail import queries
from bursar.features.mail.rendering import render
from bursar.features.mail.samples import sample
from bursar.features.mail.schemas import Message, Preview, Template, Templates
from bursar.rest.edge import Edge
from bursar.rest.mails import KINDS
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, NotFound

LANGUAGES: tuple[Language, ...] = get_args(Language)


class MailNotFound(NotFound):
    code = "mail_not_found"

    def __init__(self) -> None:
        super().__init__("There is no mail with this id.")


class MailNotDead(Conflict):
    code = "mail_not_dead"

    def __init__(self) -> None:
        super().__init__("Only a mail that was given up can be tried again.")


class TemplateNotFound(NotFound):
    code = "mail_template_not_found"

    def __init__(self) -> None:
        super().__init__("There is no mail template with this name.")


async def list_mails(read: ReadSession, asked: PageAsked, wanted: Mapping[str, str | None]) -> Page[Message]:
    """`wanted`: `state`, `template`, `recipient`, as far as they matter."""
    given = {name: value for name, value in wanted.items() if value is not None}
    rows = await queries.mails_before(read, given, before=asked.after(uuid_key), limit=asked.limit + 1)
    return cut_page(rows, asked.limit, lambda row: row["id"], _show)


async def mail_by_id(read: ReadSession, mail_id: UUID) -> Message:
    """Raises `MailNotFound`."""
    row = await queries.mail_by_id(read, mail_id)
    if row is None:
        raise MailNotFound
    return _show(row)


async def retry(tx: Transaction, mail_id: UUID, *, edge: Edge) -> Message:
    """Have a dead mail tried again, from the first attempt. Raises `MailNotFound`, `MailNotDead`."""
    is_revived = await queries.revive(tx, mail_id, edge.now())
    row = await queries.mail_by_id(tx, mail_id)
    if row is None:
        raise MailNotFound
    if not is_revived:
        raise MailNotDead
    return _show(row)


def templates() -> Templates:
    return Templates(
        items=[
            Template(
                name=name,
                values=[field for field, told in kind.model_fields.items() if told.is_required()],
                optional_values=[
                    field for field, told in kind.model_fields.items() if not told.is_required()
                ],
                choice=kind.choice,
            )
            for name, kind in sorted(KINDS.items())
        ],
        locales=list(LANGUAGES),
    )


def preview(template: str, language: Language, brand: Brand) -> Preview:
    """Raises `TemplateNotFound`."""
    if template not in KINDS:
        raise TemplateNotFound
    values = sample(template)
    off = f"{brand.public_url}/unsubscribe" if values.choice else None
    told = render(values, language, brand, unsubscribe=off)
    return Preview(subject=told.subject, text=told.text, html=told.html)


def previews(template: str, brand: Brand) -> Mapping[Language, Preview]:
    """Raises `TemplateNotFound`."""
    return {language: preview(template, language, brand) for language in LANGUAGES}


def _show(row: sa.RowMapping) -> Message:
    return Message.model_validate(dict(row))
