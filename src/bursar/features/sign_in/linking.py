"""Whom an identity elsewhere opens: the rules, pure (docs/adr/0023-identities-elsewhere.md).

An address may pass from one person to another, and some sources let people claim any. So a link is made by an
address only once, when both sides verified it; ever after the source's own subject counts.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from bursar.adapters.identity import Proven
from bursar.rest.fields import EMAIL_LENGTH_MAX, email_address
from bursar.rest.mail_domains import domain_of
from bursar.rest.problems import Conflict, Forbidden

SUBJECT_LENGTH_MAX: Final = 255
"""OpenID Connect Core 1.0, section 2."""


class EmailNotVerified(Forbidden):
    code = "email_not_verified"

    def __init__(self) -> None:
        super().__init__("The address is not verified where you signed in: verify it there, then come back.")


class DomainNotVerified(Forbidden):
    code = "domain_not_verified"

    def __init__(self) -> None:
        super().__init__("This single sign-on is for addresses of the organisation's verified domains only.")


class LinkNeedsSignIn(Forbidden):
    code = "link_needs_sign_in"

    def __init__(self) -> None:
        super().__init__("There is an account with this address: sign in to it, then link from its settings.")


class IdentityTaken(Conflict):
    code = "identity_taken"

    def __init__(self) -> None:
        super().__init__("This identity is linked to another account.")


class AccountDisabled(Forbidden):
    code = "account_disabled"

    def __init__(self) -> None:
        super().__init__("This account is disabled.")


class SignUpNeeded(Forbidden):
    code = "sign_up_needed"

    def __init__(self) -> None:
        super().__init__("There is no account with this address: sign up, and accept the terms, first.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """As much of somebody's account as the rules need. `email`: ours, in small letters."""

    id: UUID
    email: str
    is_active: bool
    is_verified: bool
    is_operator: bool
    has_second_factor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Domains:
    """What a source may speak for: `None` everybody, else addresses of an organisation's verified domains."""

    own: frozenset[str] | None
    vouches: bool = False

    def has(self, email: str) -> bool:
        return self.own is None or domain_of(email) in self.own


EVERYBODY: Final = Domains(own=None)


def verified_email(proven: Proven, domains: Domains) -> str:
    """The address that a source proved, in small letters.

    Raises:
        EmailNotVerified: none, or not verified; `vouches` stands in only where nothing is said of it.
        DomainNotVerified: not one that this source speaks for.
    """
    told = proven.email_verified
    is_verified = told is True or (told is None and domains.vouches and domains.own is not None)
    email = _address((proven.email or "").strip().lower())
    if not is_verified or email is None or len(proven.subject) > SUBJECT_LENGTH_MAX:
        raise EmailNotVerified
    if not domains.has(email):
        raise DomainNotVerified
    return email


def account_opened(linked: Account | None, by_email: Account | None, domains: Domains) -> Account | None:
    """Whose sign-in this is; None: nobody's yet. Not for one that links on purpose.

    `linked`: whom the subject is linked to. `by_email`: who has the proven address here.

    Raises:
        AccountDisabled
        DomainNotVerified: an organisation's source, and the account has become somebody else's concern.
        LinkNeedsSignIn: the address is not proven on our side, or too much hangs on the account.
    """
    account = linked or by_email
    if account is None:
        return None
    if not account.is_active:
        raise AccountDisabled
    if not domains.has(account.email):
        raise DomainNotVerified
    if linked is None and (not account.is_verified or account.is_operator):
        raise LinkNeedsSignIn
    return account


def _address(email: str) -> str | None:
    if len(email) > EMAIL_LENGTH_MAX:
        return None
    try:
        return email_address(email)
    except ValueError:
        return None
