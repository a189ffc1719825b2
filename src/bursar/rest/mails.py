"""Asking for a mail: what each one needs to know, and the event that the worker makes it from.

Features name a kind of mail by the class of its values, so that a missing value is a type error and not an
empty line before a customer. Values are checked again when the mail is taken in (`features/mail`).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from bursar.core.messages import Language
from bursar.core.permissions import MemberRole
from bursar.db.engine import Transaction
from bursar.db.outbox import publish
from bursar.rest.fields import AmountText, Email, Moment, printable

TOPIC: Final = "mail"
NOTIFICATION_REFUSED: Final = "notification.refused"
"""Topic: `recipient` turned mails of `choice` off by the link in one."""

LINK_LENGTH_MAX: Final = 2_000
LINE_LENGTH_MAX: Final = 300
INTENT_LENGTH_MAX: Final = 200


def web_link(text: str) -> str:
    """A link that a mail may carry: http(s), a host, no blanks."""
    parts = urlsplit(printable(text))
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[\s\"'<>\\^`{|}]", text):
        raise ValueError("must be a full http(s) link")
    return text


Link = Annotated[str, StringConstraints(max_length=LINK_LENGTH_MAX), AfterValidator(web_link)]
"""A full URL. It may be a secret (a reset link), so it is never shown in the delivery log."""

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LINE_LENGTH_MAX),
    AfterValidator(printable),
]
"""What somebody wrote: a name, a reason. One line; shown as it is and never as a link."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,10}$")]
Intent = Annotated[str, StringConstraints(min_length=1, max_length=INTENT_LENGTH_MAX)]


class MailValues(BaseModel):
    """What a kind of mail says. `template`: its name. `choice`: the notification choice that turns it off.

    A part of the text that names an absent value is left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: ClassVar[str]
    choice: ClassVar[str | None] = None


class Welcome(MailValues):
    """To who has just verified his address."""

    template = "welcome"
    organisation: Line
    link: Link = Field(description="Where to begin.")
    name: Line | None = None


class VerifyEmail(MailValues):
    template = "verify_email"
    link: Link
    expires_at: Moment
    name: Line | None = None


class ResetPassword(MailValues):
    template = "reset_password"
    link: Link
    expires_at: Moment
    name: Line | None = None


class ChangeEmail(MailValues):
    """To the new address."""

    template = "change_email"
    link: Link
    new_email: Email
    expires_at: Moment
    name: Line | None = None


class EmailChanged(MailValues):
    """To the address that was his until now: whoever took an account over must not do so in silence."""

    template = "email_changed"
    new_email: Email
    at: Moment
    name: Line | None = None


class PasswordChanged(MailValues):
    template = "password_changed"
    at: Moment
    link: Link = Field(description="Where a forgotten password is replaced.")
    name: Line | None = None


class IdentityLinked(MailValues):
    """Another way into somebody's account."""

    template = "identity_linked"
    provider: Line = Field(description="Where he signs in: Google, his organisation's single sign-on.")
    identity: Email = Field(description="The address that was proven there.")
    at: Moment
    link: Link = Field(description="Where linked identities are listed and taken away.")
    name: Line | None = None


class Invite(MailValues):
    template = "invite"
    organisation: Line
    role: MemberRole
    link: Link
    expires_at: Moment
    inviter: Line | None = Field(default=None, description="Name or address of who invites.")


class NewDevice(MailValues):
    """Somebody signed in with a program not seen before."""

    template = "new_device"
    at: Moment
    device: Line = Field(description="As the program describes itself.")
    link: Link = Field(description="Where sign-ins are listed and ended.")
    address: Line | None = Field(default=None, description="Network address.")
    name: Line | None = None


class KeyCreated(MailValues):
    template = "key_created"
    organisation: Line
    key_name: Line
    key: Line = Field(description="Its visible first characters.")
    at: Moment
    link: Link = Field(description="Where keys are listed and revoked.")
    created_by: Line | None = None


class KeyExpiring(MailValues):
    template = "key_expiring"
    choice = "key_expiring"
    organisation: Line
    key_name: Line
    key: Line = Field(description="Its visible first characters.")
    expires_at: Moment
    link: Link = Field(description="Where keys are made.")


class LowBalance(MailValues):
    template = "low_balance"
    choice = "low_balance"
    organisation: Line
    balance: AmountText
    currency: Currency
    link: Link = Field(description="Where to top up.")
    threshold: AmountText | None = None


class Receipt(MailValues):
    template = "receipt"
    organisation: Line
    number: Line
    amount: AmountText
    currency: Currency
    at: Moment
    link: Link | None = None


class Invoice(MailValues):
    template = "invoice"
    organisation: Line
    number: Line
    amount: AmountText
    currency: Currency
    due_at: Moment
    link: Link


class PaymentFailed(MailValues):
    template = "payment_failed"
    organisation: Line
    amount: AmountText
    currency: Currency
    link: Link = Field(description="Where the means of payment is changed.")
    reason: Line | None = None
    retry_at: Moment | None = None


class PlanChanged(MailValues):
    template = "plan_changed"
    organisation: Line
    old_plan: Line
    new_plan: Line
    effective_at: Moment
    link: Link


class BudgetAlert(MailValues):
    template = "budget_alert"
    choice = "budget_alert"
    organisation: Line
    budget: Line
    percent: int = Field(ge=0, description="How much of it is used.")
    used: Line = Field(description="With its unit: `8.00 USD`, `9000 tokens`.")
    limit: Line
    link: Link
    resets_at: Moment | None = None


class ViewAs(MailValues):
    """Support looks at an organisation as its members see it."""

    template = "view_as"
    organisation: Line
    operator: Line
    reason: Line
    at: Moment
    until: Moment


class AccountDeletion(MailValues):
    template = "account_deletion"
    delete_at: Moment
    link: Link = Field(description="Where it is cancelled.")
    name: Line | None = None


class DataExport(MailValues):
    template = "data_export"
    link: Link
    expires_at: Moment
    name: Line | None = None


class WebhookDisabled(MailValues):
    """A customer's endpoint failed for days, or said that it wants no more."""

    template = "webhook_disabled"
    organisation: Line
    url: Line
    since: Moment = Field(description="No delivery succeeded since then.")


class AbuseSuspended(MailValues):
    template = "abuse_suspended"
    organisation: Line
    reason: Line
    at: Moment


KINDS: Final[Mapping[str, type[MailValues]]] = {
    kind.template: kind
    for kind in (
        Welcome,
        VerifyEmail,
        ResetPassword,
        ChangeEmail,
        EmailChanged,
        PasswordChanged,
        IdentityLinked,
        Invite,
        NewDevice,
        KeyCreated,
        KeyExpiring,
        LowBalance,
        Receipt,
        Invoice,
        PaymentFailed,
        PlanChanged,
        BudgetAlert,
        ViewAs,
        AccountDeletion,
        DataExport,
        WebhookDisabled,
        AbuseSuspended,
    )
}
"""Name of a template → what it needs to know."""


class MailAsked(BaseModel):
    """The event `mail` of the outbox, as anybody may have written it. `values` fit `KINDS[template]`."""

    model_config = ConfigDict(extra="forbid")

    template: str
    to: Email
    locale: Language
    values: dict[str, Any]
    intent: Intent

    def checked(self) -> MailValues:
        """Raises `KeyError`: no such template; `pydantic.ValidationError`: values that do not fit it."""
        return KINDS[self.template].model_validate(self.values)


async def ask_for_mail(  # noqa: PLR0913 - a mail has so many parts
    tx: Transaction,
    values: MailValues,
    *,
    to: str,
    locale: Language,
    intent: str,
    now: datetime,
    organisation_id: UUID | None = None,
) -> None:
    """Have a mail sent once this transaction commits.

    `intent`: what it is about, in a text that no other mail has, such as `reset:<id of the token>`: one mail
    is made per intent, however often it is asked for.
    """
    payload = {
        "template": values.template,
        "to": to,
        "locale": locale,
        "values": values.model_dump(mode="json", exclude_none=True),
        "intent": intent,
    }
    await publish(tx, TOPIC, payload, now=now, organisation_id=organisation_id)
