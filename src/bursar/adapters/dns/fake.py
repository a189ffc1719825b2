"""Records in memory."""

from dataclasses import dataclass, field

from bursar.adapters.dns import DnsUnavailable


@dataclass(slots=True)
class FakeTxtRecords:
    """`is_away`: no name server answers."""

    records: dict[str, list[str]] = field(default_factory=dict)
    is_away: bool = False

    async def texts(self, name: str) -> list[str]:
        """Raises `DnsUnavailable`."""
        if self.is_away:
            raise DnsUnavailable("away")
        return list(self.records.get(name.lower(), []))
