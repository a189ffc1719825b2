"""Request ids: UUID version 7 (RFC 9562), whose own timestamp is the request's ``started_at``.

Time and randomness are arguments: the edge asks its clock and its generator, this module only lays out bits.
"""

from typing import ClassVar, Final
from uuid import UUID

RAND_BITS: Final = 74
"""Random bits a version 7 id carries; callers hand over at least these, more are cut off."""

UNIX_MS_MAX: Final = 2**48 - 1

_RAND_A_MASK: Final = 0xFFF
_RAND_B_BITS: Final = 62
_RAND_B_MASK: Final = (1 << _RAND_B_BITS) - 1
_FIXED_BITS: Final = (7 << 76) | (0b10 << 62)
_VERSION_7: Final = 7


class IdNotTimed(ValueError):
    """The id is not a UUIDv7 (or the time does not fit one), so it has no timestamp."""

    code: ClassVar[str] = "id_not_timed"
    status: ClassVar[int] = 422


def uuid7(unix_ms: int, rand_bits: int) -> UUID:
    """The UUIDv7 of a millisecond and 74 random bits; a later millisecond sorts after an earlier one."""
    if not 0 <= unix_ms <= UNIX_MS_MAX:
        raise IdNotTimed(f"{unix_ms} ms does not fit the 48 bits of a UUIDv7")
    rand_a = (rand_bits >> _RAND_B_BITS) & _RAND_A_MASK
    return UUID(int=(unix_ms << 80) | _FIXED_BITS | (rand_a << 64) | (rand_bits & _RAND_B_MASK))


def uuid7_time_ms(request_id: UUID) -> int:
    """The unix millisecond inside a UUIDv7; raises `IdNotTimed` for any other kind of UUID."""
    if request_id.version != _VERSION_7:
        raise IdNotTimed(f"{request_id} is not a UUIDv7")
    return request_id.int >> 80
