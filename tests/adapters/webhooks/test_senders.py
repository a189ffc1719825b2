import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bursar.adapters.webhooks import Answer, NotSent, Sender
from bursar.adapters.webhooks.fake import FakeSender
from bursar.adapters.webhooks.pinned import (
    EXCERPT_LENGTH_MAX,
    NOT_PUBLIC,
    AddressRefused,
    PinnedSender,
)
from tls_world import TlsWorld

BODY = b'{"type":"webhook.test"}'
SIGNED = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
NAME = "hooks.example"


def found(*addresses: str) -> list[Any]:
    """What `getaddrinfo` says of a name with these addresses."""
    return [
        (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0))
        for one in addresses
    ]


class Endpoint:
    """A receiver on this machine, which answers as its path says."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Mapping[str, str], bytes]] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path, dict(request.headers), await request.read()))
        match request.path:
            case "/moved":
                raise web.HTTPFound(f"http://127.0.0.1:{self.port}/elsewhere")
            case "/busy":
                return web.Response(status=503, headers={"retry-after": "120"}, text="a\x00b\n" + "c" * 9000)
            case "/silent":
                await asyncio.sleep(30)
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                while True:
                    await response.write(b"x" * 4096)
            case "/broken":
                assert request.transport is not None
                request.transport.abort()
        return web.Response(text="thanks", headers={"set-cookie": "a=b"})


@pytest.fixture
async def plain() -> AsyncIterator[Endpoint]:
    async for endpoint in served(None):
        yield endpoint


@pytest.fixture
async def secure() -> AsyncIterator[tuple[Endpoint, TlsWorld]]:
    world = TlsWorld()
    async for endpoint in served(world.server(NAME)):
        yield endpoint, world


async def served(tls: Any) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", endpoint.answer)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    endpoint.port = runner.addresses[0][1]
    yield endpoint
    await runner.cleanup()


class TestEverySender:
    async def test_carries_the_message_and_brings_the_answer(self, plain: Endpoint) -> None:
        url = f"http://127.0.0.1:{plain.port}/hooks"
        assert await PinnedSender(allows_loopback=True).send(url, BODY, SIGNED) == Answer(
            status=200, excerpt="thanks"
        )
        fake = FakeSender(answers={"https://a.example": Answer(status=200, excerpt="thanks")})
        assert await fake.send("https://a.example", BODY, SIGNED) == Answer(status=200, excerpt="thanks")
        ((_, headers, body),) = plain.seen
        assert body == fake.received[0].body == BODY
        assert SIGNED.items() <= {name.lower(): value for name, value in headers.items()}.items()

    @pytest.mark.parametrize("sender", [PinnedSender(), FakeSender()], ids=["pinned", "fake"])
    @pytest.mark.parametrize("url", ["http://a.example", "https://10.0.0.1", "https://[::1]", "none"])
    async def test_goes_nowhere_inside(self, sender: Sender, url: str) -> None:
        with pytest.raises(NotSent, match="the address must"):
            await sender.send(url, BODY, SIGNED)


class TestPinnedSender:
    async def test_looks_a_name_up_once_and_calls_what_it_found(
        self, secure: tuple[Endpoint, TlsWorld]
    ) -> None:
        """The second answer would be another address: nobody listens there."""
        endpoint, world = secure
        answers = [found("127.0.0.1"), found("127.0.0.2")]
        asked: list[str] = []

        def lookup(host: str, _port: int) -> list[Any]:
            asked.append(host)
            return answers.pop(0)

        sender = PinnedSender(allows_loopback=True, lookup=lookup, tls=world.client())
        url = f"https://{NAME}:{endpoint.port}/hooks"
        assert (await sender.send(url, BODY, SIGNED)).status == 200
        assert asked == [NAME]
        # TLS believed the name's certificate, so SNI and the check named it; so does Host.
        assert endpoint.seen[0][1]["Host"] == f"{NAME}:{endpoint.port}"
        with pytest.raises(NotSent, match="no connection"):
            await sender.send(url, BODY, SIGNED)
        assert len(endpoint.seen) == 1

    @pytest.mark.parametrize(
        "inside",
        [
            "127.0.0.1",
            "10.0.0.7",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "::1",
            "fd00:ec2::254",
            "fe80::1%2",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
        ],
    )
    async def test_refuses_a_name_that_leads_inside(
        self, secure: tuple[Endpoint, TlsWorld], inside: str
    ) -> None:
        endpoint, world = secure
        sender = PinnedSender(lookup=lambda *_: found(inside), tls=world.client())
        with pytest.raises(NotSent, match=NOT_PUBLIC):
            await sender.send(f"https://{NAME}:{endpoint.port}/", BODY, SIGNED)
        assert endpoint.seen == []

    async def test_refuses_an_address_at_the_socket_too(self, plain: Endpoint) -> None:
        """Whatever got past the name: an address without one is connected to by nobody's leave but this."""
        sender = PinnedSender()
        async with sender._session() as session:
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await session.post(f"http://127.0.0.1:{plain.port}/")
        assert isinstance(caught.value.os_error, AddressRefused)
        assert plain.seen == []

    async def test_believes_no_certificate_of_another_name(self, secure: tuple[Endpoint, TlsWorld]) -> None:
        endpoint, world = secure
        sender = PinnedSender(allows_loopback=True, lookup=lambda *_: found("127.0.0.1"), tls=world.client())
        with pytest.raises(NotSent, match="certificate"):
            await sender.send(f"https://other.example:{endpoint.port}/", BODY, SIGNED)
        assert endpoint.seen == []

    async def test_follows_no_redirect_and_keeps_no_cookie(self, plain: Endpoint) -> None:
        sender = PinnedSender(allows_loopback=True)
        here = f"http://127.0.0.1:{plain.port}"
        assert (await sender.send(f"{here}/moved", BODY, SIGNED)).status == 302
        await sender.send(f"{here}/hooks", BODY, SIGNED)
        await sender.send(f"{here}/hooks", BODY, SIGNED)
        assert [path for path, _, _ in plain.seen] == ["/moved", "/hooks", "/hooks"]
        assert all("Cookie" not in headers for _, headers, _ in plain.seen)

    async def test_goes_through_no_proxy_of_the_machines(
        self, plain: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        sender = PinnedSender(allows_loopback=True)
        assert (await sender.send(f"http://127.0.0.1:{plain.port}/", BODY, SIGNED)).status == 200

    async def test_reads_little_of_an_answer(self, plain: Endpoint) -> None:
        sender = PinnedSender(allows_loopback=True)
        here = f"http://127.0.0.1:{plain.port}"
        busy = await sender.send(f"{here}/busy", BODY, SIGNED)
        assert (busy.status, busy.retry_after_s, len(busy.excerpt)) == (503, 120, EXCERPT_LENGTH_MAX)
        assert busy.excerpt.startswith("a b ccc")
        assert json.dumps(busy.excerpt).isascii()
        assert (await sender.send(f"{here}/endless", BODY, SIGNED)).excerpt == "x" * EXCERPT_LENGTH_MAX

    async def test_says_why_nothing_came_back(self, plain: Endpoint) -> None:
        sender = PinnedSender(allows_loopback=True, timeout_s=0.3)
        here = f"http://127.0.0.1:{plain.port}"
        with pytest.raises(NotSent, match=r"no answer within 0\.3 s"):
            await sender.send(f"{here}/silent", BODY, SIGNED)
        with pytest.raises(NotSent, match="the connection broke"):
            await sender.send(f"{here}/broken", BODY, SIGNED)
        with pytest.raises(NotSent, match="no connection"):
            await sender.send("http://127.0.0.1:1/", BODY, SIGNED)

        def unknown(*_: object) -> list[Any]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        with pytest.raises(NotSent, match="the name is not known"):
            await PinnedSender(lookup=unknown).send("https://nobody.example", BODY, SIGNED)
