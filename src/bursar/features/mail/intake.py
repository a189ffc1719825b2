"""From the event that asks for a mail to its row: one per intent, and nothing is sent yet."""

import structlog
from pydantic import ValidationError

from bursar.db.engine import Transaction
from bursar.db.outbox import Event, Handler
from bursar.features.mail import queries
from bursar.features.mail.office import PostOffice, State
from bursar.rest.mails import KINDS, MailAsked

log = structlog.get_logger()


class MailUnreadable(Exception):
    """The event does not say to whom or about what; names the properties, never their values."""


def taking_in(office: PostOffice) -> Handler:
    """The handler of the topic `mail`."""

    async def take_in(tx: Transaction, event: Event) -> None:
        """Safe to run twice: an intent has one row, whoever asks again."""
        asked = _read(event)
        fault = _fault(asked)
        state: State = "waiting" if fault is None else "dead"
        choice = None if fault else KINDS[asked.template].choice
        if choice is not None and await queries.does_not_want(tx, asked.to, choice):
            state = "skipped"
        now, mail_id = office.edge.now(), office.edge.new_id()
        row = {
            "id": mail_id,
            "intent": asked.intent,
            "template": asked.template,
            "locale": asked.locale,
            "recipient": asked.to,
            "message_id": office.message_id(mail_id),
            "sealed": None if state == "skipped" else office.sealed(asked.values),
            "state": state,
            "due_at": now,
            "said": fault,
            "created_at": now,
            "ended_at": None if state == "waiting" else now,
        }
        if not await queries.insert_mail(tx, row):
            log.info("mail.asked_again", intent=asked.intent)
        elif fault is not None:
            log.error("mail.dead", mail_id=str(mail_id), template=asked.template, said=fault)
        await queries.forget_event(tx, event.id, {"template": asked.template, "intent": asked.intent})

    return take_in


def _read(event: Event) -> MailAsked:
    try:
        return MailAsked.model_validate(event.payload)
    except ValidationError as error:
        raise MailUnreadable(_named(error)) from None  # the cause would quote what may be secret


def _fault(asked: MailAsked) -> str | None:
    """Why a mail cannot be written, if it cannot. A person must see it: it is a bug of ours."""
    if asked.template not in KINDS:
        return "there is no such template"
    try:
        asked.checked()
    except ValidationError as error:
        return f"values: {_named(error)}"
    return None


def _named(error: ValidationError) -> str:
    return ", ".join(
        sorted({f"{fault['loc'][0] if fault['loc'] else '?'} ({fault['type']})" for fault in error.errors()})
    )
