"""Mails that say what was changed in somebody's account, so that a thief cannot do it in silence."""

from uuid import UUID

from bursar.db.engine import Transaction
from bursar.features.accounts import queries
from bursar.rest.control import Control
from bursar.rest.mails import EmailChanged, PasswordChanged, ask_for_mail


async def tell_password_changed(tx: Transaction, control: Control, user_id: UUID) -> None:
    """To his address as it is."""
    person, now = await queries.person_by_id(tx, user_id), control.edge.now()
    link = f"{control.policy.public_url}/forgot-password"
    values = PasswordChanged(at=now, link=link, name=person["name"] or None)
    intent = f"password_changed:{control.edge.new_id()}"
    await ask_for_mail(tx, values, to=person["email"], locale=person["locale"], intent=intent, now=now)


async def tell_email_changed(tx: Transaction, control: Control, user_id: UUID, new_email: str) -> None:
    """To the address that is his until `tx` changes it."""
    person, now = await queries.person_by_id(tx, user_id), control.edge.now()
    values = EmailChanged(new_email=new_email, at=now, name=person["name"] or None)
    intent = f"email_changed:{control.edge.new_id()}"
    await ask_for_mail(tx, values, to=person["email"], locale=person["locale"], intent=intent, now=now)
