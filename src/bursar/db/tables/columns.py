"""The shared metadata and short spellings for the columns that repeat."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata: Final = sa.MetaData()

PRICE: Final = sa.Numeric(38, 18)


def uuid(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, UUID(as_uuid=True), *args, nullable=options.pop("nullable", False), **options)


def text(name: str, *args: Any, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, *args, nullable=options.pop("nullable", False), **options)


def units(name: str, *args: Any, **options: Any) -> sa.Column[int]:
    """An amount at the asset's scale, or another 64-bit count."""
    return sa.Column(name, sa.BigInteger, *args, nullable=options.pop("nullable", False), **options)


def serial(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, sa.Identity(always=True), primary_key=True)


def moment(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=options.pop("nullable", False), **options)


def flag(name: str, **options: Any) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, **options)


def json(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, JSONB, nullable=False, **options)


def references(column: str) -> sa.ForeignKey:
    return sa.ForeignKey(column)
