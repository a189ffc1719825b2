"""Field types shared by schemas: each refuses what PostgreSQL could not hold or a person could not read."""

import re
import unicodedata
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

NAME_LENGTH_MAX = 100
TEXT_LENGTH_MAX = 500
MODEL_LENGTH_MAX = 128
AMOUNT_LENGTH_MAX = 40
NETWORK_LENGTH_MAX = 64
# What is longer is hashed no better; NIST SP 800-63B asks for at least 64.
PASSWORD_LENGTH_MAX = 128
# RFC 5321: the longest address a mail server must take.
EMAIL_LENGTH_MAX = 254
EMAIL_SHAPE = re.compile(r"^[^\s@<>()\[\],;:\\\"]{1,64}@[^\s@<>()\[\],;:\\\"]+\.[^\s@<>()\[\],;:\\\"]{2,}$")
MODEL_SHAPE = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"
YEAR_MIN = 2000
YEAR_MAX = 2200


def printable(text: str) -> str:
    """Refuse control characters and lone surrogates: PostgreSQL cannot hold some, and nobody can read any."""
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise ValueError("must not contain control characters")
    return text


def printable_secret(secret: SecretStr) -> SecretStr:
    printable(secret.get_secret_value())
    return secret


def email_address(text: str) -> str:
    """Check that it looks like one mail address; only a mail can prove more.

    Its domain comes back as DNS has it (IDNA 2003, as mails are sent): a domain in full-width letters or with
    a soft hyphen inside would pass every list of domains, and lead to the mailbox all the same.
    """
    local, _, domain = printable(text).rpartition("@")
    try:
        plain = f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        plain = ""
    looks_right = EMAIL_SHAPE.match(text) and EMAIL_SHAPE.match(plain) and not plain.endswith(".")
    if not looks_right or len(plain) > EMAIL_LENGTH_MAX:
        raise ValueError("must be an e-mail address")
    return plain


def network(text: str) -> str:
    """An address or a network, as it is written canonically."""
    try:
        return str(ip_network(text.strip()))
    except ValueError:
        raise ValueError("must be an address or a network such as 192.0.2.0/24 or 2001:db8::/32") from None


def sensible_time(moment: datetime) -> datetime:
    if not YEAR_MIN <= moment.year <= YEAR_MAX:
        raise ValueError(f"must lie between the years {YEAR_MIN} and {YEAR_MAX}")
    return moment.astimezone(UTC)


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH_MAX),
    AfterValidator(printable),
]
Password = Annotated[
    SecretStr, Field(min_length=1, max_length=PASSWORD_LENGTH_MAX), AfterValidator(printable_secret)
]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=TEXT_LENGTH_MAX), AfterValidator(printable)
]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=EMAIL_LENGTH_MAX),
    AfterValidator(email_address),
]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=MODEL_LENGTH_MAX, pattern=MODEL_SHAPE)]
Network = Annotated[str, StringConstraints(max_length=NETWORK_LENGTH_MAX), AfterValidator(network)]
Moment = Annotated[AwareDatetime, AfterValidator(sensible_time)]
AmountText = Annotated[
    str,
    StringConstraints(max_length=AMOUNT_LENGTH_MAX, pattern=r"^-?[0-9]+(\.[0-9]+)?$"),
    Field(description="Decimal string in major units, exact.", examples=["10.00"]),
]
PriceText = Annotated[
    str,
    StringConstraints(max_length=AMOUNT_LENGTH_MAX, pattern=r"^[0-9]+(\.[0-9]+)?$"),
    Field(description="Decimal string, major units, exact.", examples=["2.50"]),
]


class Body(BaseModel):
    """A request body: unknown properties are refused, so that a misspelt one cannot pass for a default."""

    model_config = ConfigDict(extra="forbid", str_max_length=100_000)


def moment_of_ms(unix_ms: int) -> datetime:
    """Show a stored millisecond."""
    seconds, millis = divmod(unix_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=millis * 1000)


def ms_of_moment(moment: datetime) -> int:
    """Exact milliseconds of an aware time; anything finer is cut off."""
    whole = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * 1000 + whole.microseconds // 1000
