"""A message that tests send."""

from datetime import UTC, datetime

from bursar.adapters.mail import Mail

WRITTEN_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def mail(to: str = "ana@shop.example", *, subject: str = "Your receipt 영수증 收据") -> Mail:
    return Mail(
        message_id="<0190@bursar.example>",
        sender="no-reply@bursar.example",
        sender_name="Bursar",
        to=to,
        subject=subject,
        text="Thank you.",
        html="<p>Thank you.</p>",
        written_at=WRITTEN_AT,
    )
