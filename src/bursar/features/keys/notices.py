"""Mails about keys: somebody made one, one is about to expire. To who made it, or else to the owner."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bursar.db.engine import Transaction
from bursar.features.keys import queries
from bursar.features.keys.schemas import Key
from bursar.rest.mails import KeyCreated, KeyExpiring, ask_for_mail

WARNED_BEFORE: Final = timedelta(days=7)
"""Long enough to roll a new key out; a key made for less than that needs no warning."""

WARN_EVERY_MS: Final = 15 * 60_000
WARNED_PER_ROUND: Final = 200


async def tell_of_new_key(
    tx: Transaction, key: Key, *, created_by: UUID | None, public_url: str, now: datetime
) -> None:
    """Who finds a key in his mail that he did not make has been robbed of his sign-in."""
    holder = await queries.holder_of_keys(tx, key.organisation_id, created_by)
    if holder is None:
        return  # an organisation of the operator's: it has no members yet
    said = KeyCreated(
        organisation=holder["organisation"],
        key_name=key.name,
        key=key.visible,
        at=now,
        link=f"{public_url}/keys",
        created_by=(holder["name"] or holder["email"]) if holder["id"] == created_by else None,
    )
    await ask_for_mail(
        tx,
        said,
        to=holder["email"],
        locale=holder["locale"],
        intent=f"key_created:{key.id}",
        now=now,
        organisation_id=key.organisation_id,
    )


async def tell_of_expiring_keys(tx: Transaction, now: datetime, *, public_url: str) -> int:
    """Warn of keys that expire within WARNED_BEFORE; answers of how many. Twice mails nothing new."""
    rows = await queries.keys_expiring_unwarned(tx, now, within=WARNED_BEFORE, limit=WARNED_PER_ROUND)
    for row in rows:
        said = KeyExpiring(
            organisation=row["organisation"],
            key_name=row["name"],
            key=row["visible"],
            expires_at=row["expires_at"],
            link=f"{public_url}/keys",
        )
        await ask_for_mail(
            tx,
            said,
            to=row["email"],
            locale=row["locale"],
            intent=row["intent"],
            now=now,
            organisation_id=row["organisation_id"],
        )
    return len(rows)
