"""Invented values of each kind of mail, for the preview."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bursar.rest.mails import KINDS, MailValues

_SOON: Final = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
_LATER: Final = datetime(2027, 3, 8, 9, 30, tzinfo=UTC)
_VALUES: Final[Mapping[str, Any]] = {
    "address": "203.0.113.7",
    "amount": "120.00",
    "at": _SOON,
    "balance": "4.20",
    "budget": "Research, monthly",
    "created_by": "ana@acme.example",
    "currency": "USD",
    "delete_at": _LATER,
    "device": "Firefox on Linux",
    "due_at": _LATER,
    "effective_at": _SOON,
    "expires_at": _LATER,
    "identity": "ana@home.example",
    "inviter": "Ana Kim",
    "key": "llm_sk_4Yq7dX",
    "key_name": "production",
    "limit": "500.00 USD",
    "link": "https://bursar.example/open/4Yq7dX",
    "name": "Ana Kim",
    "new_email": "ana@new.example",
    "new_plan": "Team",
    "number": "2027-000123",
    "old_plan": "Starter",
    "operator": "Bo",
    "organisation": "Acme",
    "percent": 80,
    "provider": "GitHub",
    "reason": "Ticket 4711: a request that fails",
    "resets_at": _LATER,
    "retry_at": _LATER,
    "role": "developer",
    "since": _SOON,
    "threshold": "5.00",
    "until": _LATER,
    "url": "https://acme.example/hooks",
    "used": "400.00 USD",
}


def sample(template: str, *, is_full: bool = True) -> MailValues:
    """One of a kind; not `is_full`: without what may be absent. Raises `KeyError`: no such template."""
    kind = KINDS[template]
    wanted = {name for name, field in kind.model_fields.items() if is_full or field.is_required()}
    return kind.model_validate({name: _VALUES[name] for name in wanted})
