"""The machine's own name servers, or those named, with dnspython."""

from collections.abc import Sequence
from typing import Final

from dns.asyncresolver import Resolver
from dns.exception import DNSException
from dns.name import from_text
from dns.resolver import NXDOMAIN, NoAnswer

from bursar.adapters.dns import DnsUnavailable

PORT: Final = 53
LIFETIME_S: Final = 5
"""For all servers and tries together: a person is waiting."""

RECORDS_MAX: Final = 100


class Nameservers:
    """`servers`: addresses; none: those of the machine."""

    def __init__(self, servers: Sequence[str] = (), *, port: int = PORT) -> None:
        self._servers = list(servers)
        self._port = port

    async def texts(self, name: str) -> list[str]:
        """Raises `DnsUnavailable`."""
        try:
            resolver = Resolver(configure=not self._servers)
            if self._servers:
                resolver.nameservers = list(self._servers)
            resolver.port = self._port
            # Absolute: the machine's search list must not put another domain behind it.
            answer = await resolver.resolve(from_text(name), "TXT", lifetime=LIFETIME_S, search=False)
        except (NXDOMAIN, NoAnswer):
            return []
        except (DNSException, OSError, ValueError) as error:
            raise DnsUnavailable(type(error).__name__) from error
        return [b"".join(record.strings).decode("latin-1") for record in list(answer)[:RECORDS_MAX]]
