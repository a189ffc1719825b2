"""TXT records: how somebody proves that a domain is his.

The port. `resolver` asks the machine's name servers, `fake` what it was told; both pass the same contract
tests (`tests/adapters/dns`).
"""

from typing import Protocol


class DnsUnavailable(Exception):
    """No name server answers in time, or none that knows. Nothing is proven either way."""


class TxtRecords(Protocol):
    """Looks TXT records up."""

    async def texts(self, name: str) -> list[str]:
        """The records of a name, each put together from its pieces; none when there is no such name.

        Raises:
            DnsUnavailable
        """
        ...
