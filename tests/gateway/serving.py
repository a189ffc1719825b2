"""A customer's models that make embeddings or pictures, and the prices they are sold at here."""

from typing import Any

import orjson
from proving import Customer, nano

EMBEDDINGS, IMAGES = "/v1/embeddings", "/v1/images/generations"
# Per million units, in USD: what we pay and what our customer pays.
EMBEDDING_PRICES = {"in_fresh": ("0.1", "0.12")}
TOKEN_PRICES = {"in_fresh": ("5", "6"), "out_text": ("10", "12"), "out_image": ("40", "48")}
PICTURE_PRICES = {"image": ("40000", "50000")}
COMPATIBLE = {"openai": "openai", "openai_compatible": "compatible"}


async def embeds(customer: Customer, kind: str = "openai", **provider: Any) -> str:
    """A model of his own that makes embeddings, served by a provider of this type."""
    told = {"prices": EMBEDDING_PRICES, "provider_model": "text-embedding-3-small", **provider}
    return await _serve(customer, kind, "embeddings", told)


async def draws(customer: Customer, kind: str = "openai", **provider: Any) -> str:
    """One that makes pictures, sold by tokens unless `prices` say otherwise."""
    told = {"prices": TOKEN_PRICES, "provider_model": "gpt-image-1", **provider}
    return await _serve(customer, kind, "images", told)


async def _serve(customer: Customer, kind: str, service: str, told: dict[str, Any]) -> str:
    name = await customer.serve(kind, **told)
    await customer.change(
        "UPDATE model SET capabilities = %s WHERE id = %s",
        [orjson.dumps({"services": [service]}).decode(), name],
    )
    return name


def sold(prices: dict[str, tuple[str, str]], **units: int) -> int:
    """Nano-dollars the customer owes for so many units of each meter."""
    return sum(nano(prices[meter][1]) * number for meter, number in units.items())


def spent(prices: dict[str, tuple[str, str]], **units: int) -> int:
    """Nano-dollars we owe."""
    return sum(nano(prices[meter][0]) * number for meter, number in units.items())


def body(model: str, **fields: Any) -> bytes:
    return orjson.dumps({"model": model, **fields})
