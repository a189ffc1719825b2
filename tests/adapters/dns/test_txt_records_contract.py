"""Every way to look TXT records up, against the same expectations; the real one asks a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from bursar.adapters.dns import DnsUnavailable, TxtRecords
from bursar.adapters.dns.fake import FakeTxtRecords
from bursar.adapters.dns.resolver import Nameservers

RECORDS = {
    "_bursar.acme.example": ["v=spf1 -all", "proof=1"],
    "long.example": ["a" * 300],
    "broken.example": [],
}


class NameServer(asyncio.DatagramProtocol):
    """Answers what it was told, fails for `broken.example`."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        asked = dns.message.from_wire(data)
        answer = dns.message.make_response(asked)
        question = asked.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        if name == "broken.example":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name not in RECORDS:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.TXT:
            pieces = [
                " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
                for text in RECORDS[name]
            ]
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *pieces))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture(params=["fake", "real"])
async def lookup(request: pytest.FixtureRequest) -> AsyncIterator[TxtRecords]:
    if request.param == "fake":
        yield FakeTxtRecords(records={name: texts for name, texts in RECORDS.items() if texts})
        return
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield Nameservers(["127.0.0.1"], port=transport.get_extra_info("sockname")[1])
    transport.close()


class TestTexts:
    async def test_are_those_of_the_name(self, lookup: TxtRecords) -> None:
        assert sorted(await lookup.texts("_bursar.acme.example")) == ["proof=1", "v=spf1 -all"]

    async def test_are_put_together_from_their_pieces(self, lookup: TxtRecords) -> None:
        assert await lookup.texts("LONG.example") == ["a" * 300]

    async def test_are_none_where_there_is_no_such_name(self, lookup: TxtRecords) -> None:
        assert await lookup.texts("nobody.example") == []

    async def test_are_not_none_where_nobody_could_say(self, lookup: TxtRecords) -> None:
        name = "broken.example"
        if isinstance(lookup, FakeTxtRecords):
            lookup.is_away = True
        with pytest.raises(DnsUnavailable):
            await lookup.texts(name)

    async def test_refuse_a_name_that_is_none(self) -> None:
        with pytest.raises(DnsUnavailable):
            await Nameservers(["127.0.0.1"], port=9).texts("a" * 64 + ".example")
