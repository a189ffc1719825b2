"""The one way to ask for the time. Rules never ask: they are told."""

from typing import Protocol


class Clock(Protocol):
    """Two clocks: one names moments, the other measures waits. The edge owns the implementation."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC; may step when the machine's clock is set."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since an unnamed moment; never steps back and counts suspended time too."""
        ...
