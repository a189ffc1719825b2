"""A customer of the shared stack who brings credentials of his own, and what providers saw of them."""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from proving import COST, Customer

from bursar.core.money import parse_price, round_half_even
from bursar.db.secrets import SecretBox
from gateway_stack import SECRET_KEY, SECRETS

OWN_SECRETS = {kind: f"{secret}-own" for kind, secret in SECRETS.items()}
OWN_SECRET = OWN_SECRETS["openai"]
PERCENT = 5  # of everybody, until somebody says otherwise


def fee_of(percent: int = PERCENT, per_request: str = "0", **tokens: int) -> int:
    """Nano-dollars of the platform fee for so many tokens of each class."""
    listed = sum(COST[meter] * count for meter, count in tokens.items()) * 10**9  # atto
    return round_half_even(listed * percent + parse_price(per_request) * 100, 100 * 10**9)


async def provider_of(customer: Customer, model: str) -> UUID:
    """The provider of the model's best route."""
    question = "SELECT provider_id FROM route WHERE model_id = %s ORDER BY priority LIMIT 1"
    found = (await customer.rows(question, [model]))[0]["provider_id"]
    assert isinstance(found, UUID)
    return found


async def bring(
    customer: Customer, model: str, *, secret: str = OWN_SECRET, priority: int = 100, key: str = SECRET_KEY
) -> UUID:
    """Give the customer a credential of his own at the provider of a model; its id."""
    number, provider_id = uuid4(), await provider_of(customer, model)
    customer.hidden.add(re.escape(secret))
    await customer.change("UPDATE provider SET takes_own_keys = true WHERE id = %s", [provider_id])
    await customer.change(
        "INSERT INTO own_credential (id, organisation_id, provider_id, name, sealed, hint, priority,"
        " created_at) VALUES (%s, %s, %s, 'own', %s, '…', %s, now())",
        [
            number,
            customer.organisation_id,
            provider_id,
            SecretBox(bytes.fromhex(key)).seal(secret.encode()),
            priority,
        ],
    )
    return number


async def set_rules(customer: Customer, **columns: Any) -> None:
    """Columns of his organisation: `own_keys_fall_back`, `allowed_providers`, `allowed_regions`."""
    for name, value in columns.items():
        await customer.change(
            f"UPDATE organisation SET {name} = %s WHERE id = %s",  # noqa: S608 - names are written in tests
            [value, customer.organisation_id],
        )


async def set_fee(customer: Customer, percent: str, fixed: str = "0") -> None:
    await customer.change(
        "INSERT INTO platform_fee (organisation_id, currency, percent, fixed, effective_from, created_at)"
        " VALUES (%s, 'USD', %s, %s, now() - interval '1 minute', now())",
        [customer.organisation_id, percent, fixed],
    )


def secrets_seen(customer: Customer) -> Sequence[str]:
    """The credentials that reached providers, in order."""
    names = (b"authorization", b"x-api-key", b"x-goog-api-key")
    return [
        next(one.headers[name] for name in names if name in one.headers).decode().removeprefix("Bearer ")
        for one in customer.stack.simulator.log.exchanges
    ]
