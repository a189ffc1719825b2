"""An answer that is kept, so that later requests may refer to it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResponse:
    """`content` is opaque to whoever stores it; `previous_id` the answer that this one continues."""

    id: str
    previous_id: str | None
    content: bytes = field(repr=False)
