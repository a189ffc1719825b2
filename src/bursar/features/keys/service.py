"""API keys: made, shown once, restricted, rotated, revoked.

Gateways hear of every change through the table's trigger and act on it within a second.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.permissions import Permission
from bursar.core.webhooks import EventType
from bursar.db.engine import ReadSession, Transaction
from bursar.db.projects import default_project, is_open
from bursar.db.tables import project
from bursar.features.keys import queries
from bursar.features.keys.notices import tell_of_new_key
from bursar.features.keys.schemas import IssuedKey, Key, KeyChange, NewKey, Rotation
from bursar.rest.callers import PermissionDenied
from bursar.rest.control import Control
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, Invalid, NotFound
from bursar.rest.secret_text import Issued, issue
from bursar.rest.webhook_events import ask_for_webhook

LIMIT_NAME = "requests_per_min"
PATTERN_MARKS = frozenset("*?")
KEYS_MAX: Final = 10_000
"""Usable ones of one organisation: gateways hold all of them in memory, and each one made is a mail."""


class KeyNotFound(NotFound):
    code = "key_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no key with this id.")


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class OrganisationClosed(Conflict):
    code = "organisation_closed"

    def __init__(self) -> None:
        super().__init__("A closed organisation gets no new keys.")


class KeyNotUsable(Conflict):
    """A revoked, expired or already rotated key cannot be rotated or changed."""

    code = "key_not_usable"


class TooManyKeys(Conflict):
    code = "too_many_keys"

    def __init__(self) -> None:
        super().__init__(f"At most {KEYS_MAX} keys may be in use; revoke one.")


class ModelUnknown(Invalid):
    code = "model_unknown"


class ProjectUnknown(Invalid):
    """Also one that is archived."""

    code = "project_unknown"

    def __init__(self) -> None:
        super().__init__("body.project_id: this organisation has no such project in use")


class ExpiryPast(Invalid):
    code = "expiry_past"

    def __init__(self) -> None:
        super().__init__("body.expires_at: must lie in the future.")


async def create_key(  # noqa: PLR0913 - who makes what where
    tx: Transaction,
    organisation_id: UUID,
    wanted: NewKey,
    *,
    control: Control,
    sets_limits: bool,
    created_by: UUID | None = None,
) -> IssuedKey:
    """Make a key. Its secret is in the answer and nowhere else. `created_by`: the person; None: an operator.

    `sets_limits`: whoever asks has `limits:manage`.

    Raises:
        OrganisationNotFound, OrganisationClosed, ModelUnknown, ExpiryPast, ProjectUnknown, TooManyKeys
        PermissionDenied: more requests a minute than he may give.
    """
    await _check_organisation(tx, organisation_id)
    await _check_models(tx, wanted.allowed_models)
    now = control.edge.now()
    _check_expiry(wanted.expires_at, now)
    issued = issue(control.policy.key_prefix)
    default = control.policy.requests_per_minute_default
    limit = wanted.requests_per_minute or default
    if not sets_limits:
        _check_limit(limit, before=default, default=default)
    made = await _insert(
        tx,
        issued,
        {
            "id": control.edge.new_id(),
            "organisation_id": organisation_id,
            "project_id": await _project(tx, organisation_id, wanted.project_id, control.edge),
            "name": wanted.name,
            "allowed_models": wanted.allowed_models,
            "limits": {LIMIT_NAME: limit},
            "created_at": now,
            "created_by": created_by,
            "expires_at": wanted.expires_at,
        },
    )
    await _tell(tx, EventType.KEY_CREATED, made, now)
    await tell_of_new_key(tx, made, created_by=created_by, public_url=control.policy.public_url, now=now)
    return made


async def get_key(read: ReadSession | Transaction, organisation_id: UUID, key_id: UUID) -> Key:
    """Raises `KeyNotFound`."""
    row = await queries.key_by_id(read, organisation_id, key_id)
    if row is None:
        raise KeyNotFound
    return show(row)


async def list_keys(read: ReadSession, organisation_id: UUID, asked: PageAsked) -> Page[Key]:
    """Raises `OrganisationNotFound`."""
    if await queries.organisation_status(read, organisation_id) is None:
        raise OrganisationNotFound
    rows = await queries.keys_before(
        read, organisation_id, before=asked.after(uuid_key), limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def change_key(  # noqa: PLR0913 - who changes what of which key
    tx: Transaction,
    organisation_id: UUID,
    key_id: UUID,
    change: KeyChange,
    *,
    control: Control,
    sets_limits: bool,
) -> Key:
    """`sets_limits`: whoever asks has `limits:manage`.

    Raises:
        KeyNotFound, KeyNotUsable, ModelUnknown, ExpiryPast, ProjectUnknown
        PermissionDenied: more requests a minute than he may give.
    """
    edge = control.edge
    row = await _usable(tx, organisation_id, key_id, now=None)
    given = change.model_dump(exclude_unset=True)
    for name in ("name", "project_id"):
        if name in given and given[name] is None:
            raise Invalid(f"body.{name}: must not be null")
    if "project_id" in given:
        await _project(tx, organisation_id, given["project_id"], edge)
    await _check_models(tx, given.get("allowed_models"))
    _check_expiry(given.get("expires_at"), edge.now())
    if "requests_per_minute" in given:
        limit = given.pop("requests_per_minute")
        if not sets_limits:
            default = control.policy.requests_per_minute_default
            _check_limit(limit, before=row["limits"].get(LIMIT_NAME), default=default)
        given["limits"] = {**row["limits"], LIMIT_NAME: limit}
    if given:
        await queries.update_key(tx, organisation_id, key_id, given)
    return await get_key(tx, organisation_id, key_id)


async def revoke_key(tx: Transaction, organisation_id: UUID, key_id: UUID, *, edge: Edge) -> Key:
    """Stop a key at once. Revoking twice is no error. Raises `KeyNotFound`."""
    row = await queries.locked_key(tx, organisation_id, key_id)
    if row is None:
        raise KeyNotFound
    if row["active"]:
        changes = {"active": False, "revoked_at": edge.now()}
        await queries.update_key(tx, organisation_id, key_id, changes)
        await _tell(tx, EventType.KEY_REVOKED, show(row), edge.now())
    return await get_key(tx, organisation_id, key_id)


async def rotate_key(  # noqa: PLR0913 - who turns which key how
    tx: Transaction,
    organisation_id: UUID,
    key_id: UUID,
    rotation: Rotation,
    *,
    control: Control,
    created_by: UUID | None = None,
) -> IssuedKey:
    """Make a key with the same rights; the old one works on until the grace period ends.

    It counts as made by who rotates it, because he is shown its secret; by an operator, as before.

    Raises:
        KeyNotFound, KeyNotUsable: also when it was rotated before. TooManyKeys
    """
    now = control.edge.now()
    old = await _usable(tx, organisation_id, key_id, now=now)
    if await queries.successor_of(tx, key_id) is not None:
        raise KeyNotUsable("This key was rotated before; rotate its successor.")
    end = now + timedelta(seconds=rotation.grace_period_s)
    new = await _insert(
        tx,
        issue(control.policy.key_prefix),
        {
            "id": control.edge.new_id(),
            "organisation_id": organisation_id,
            "name": old["name"],
            "allowed_models": old["allowed_models"],
            "limits": old["limits"],
            "allowed_addresses": old["allowed_addresses"],
            "created_at": now,
            "created_by": created_by or old["created_by"],
            "expires_at": old["expires_at"],
            "rotated_from": key_id,
            "project_id": old["project_id"],
        },
    )
    ending = end if old["expires_at"] is None else min(end, old["expires_at"])
    await queries.update_key(tx, organisation_id, key_id, {"expires_at": ending})
    about = {"replaces": str(key_id), "old_key_until": ending.isoformat()}
    await _tell(tx, EventType.KEY_ROTATED, new, now, **about)
    await tell_of_new_key(tx, new, created_by=new.created_by, public_url=control.policy.public_url, now=now)
    return new


async def _usable(
    tx: Transaction, organisation_id: UUID, key_id: UUID, *, now: datetime | None
) -> sa.RowMapping:
    row = await queries.locked_key(tx, organisation_id, key_id)
    if row is None:
        raise KeyNotFound
    if not row["active"]:
        raise KeyNotUsable("This key was revoked.")
    if now is not None and row["expires_at"] is not None and row["expires_at"] <= now:
        raise KeyNotUsable("This key has expired.")
    return row


async def _check_organisation(tx: Transaction, organisation_id: UUID) -> None:
    status = await queries.organisation_status(tx, organisation_id)
    if status is None:
        raise OrganisationNotFound
    if status == "closed":
        raise OrganisationClosed


async def _check_models(tx: Transaction, names: list[str] | None) -> None:
    """A misspelt name would lock the key out silently; patterns are taken as they are."""
    plain = [name for name in names or () if not PATTERN_MARKS & set(name)]
    unknown = sorted(set(plain) - await queries.known_model_names(tx, plain)) if plain else []
    if unknown:
        raise ModelUnknown(f"body.allowed_models: no such model: {', '.join(unknown)}", unknown=unknown)


def _check_limit(limit: int | None, *, before: int | None, default: int) -> None:
    """What keys:manage alone gives: up to the installation's default, or less than the key has.

    Raises `PermissionDenied`.
    """
    if before is None or limit == before:
        return  # less than it has, or what it has
    if limit is None or limit > max(before, default):
        raise PermissionDenied(Permission.LIMITS_MANAGE)


async def _project(tx: Transaction, organisation_id: UUID, named: UUID | None, edge: Edge) -> UUID:
    """The one named, or the default one. Raises `ProjectUnknown`."""
    if named is None:
        return await default_project(tx, organisation_id, now=edge.now(), new_id=edge.new_id)
    if not await is_open(tx, project, organisation_id, named):
        raise ProjectUnknown
    return named


def _check_expiry(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise ExpiryPast


async def _insert(tx: Transaction, issued: Issued, row: dict[str, Any]) -> IssuedKey:
    if await queries.count_usable(tx, row["organisation_id"], row["created_at"]) >= KEYS_MAX:
        raise TooManyKeys
    await queries.insert_key(tx, {**row, "key_hash": issued.digest, "key_prefix": issued.visible})
    key = await get_key(tx, row["organisation_id"], row["id"])
    return IssuedKey(**key.model_dump(), secret=issued.secret)


async def _tell(tx: Transaction, kind: EventType, key: Key, now: datetime, **more: str) -> None:
    """Announce it to the organisation's own programs."""
    about = {"key_id": str(key.id), "name": key.name, "visible": key.visible, **more}
    await ask_for_webhook(tx, kind, about, organisation_id=key.organisation_id, now=now)


def show(row: sa.RowMapping) -> Key:
    return Key.model_validate({**row, "requests_per_minute": row["limits"].get(LIMIT_NAME)})
