"""`GET /metrics`: what this process would like to be watched for.

Counted where it happens and only read here, so that requests pay nothing for it. Without a key, so only for
addresses on a list; whoever comes through a proxy that is not trusted is nobody's neighbour.
"""

from typing import Final

from bursar.core.addresses import Networks, client_address
from bursar.gateway.dialects import Asked, Dialect
from bursar.gateway.errors import GatewayError
from bursar.gateway.inbound import Inbound
from bursar.gateway.pipeline import refuse
from bursar.gateway.runtime import Gateway

FORWARDED: Final = b"x-forwarded-for"
NOBODY: Final = Networks(())


async def show_metrics(gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked) -> None:
    """Tell them to neighbours; to others there is nothing here."""
    if not _is_neighbour(gw, inbound):
        error = GatewayError(404, "unknown_url", f"There is nothing at GET {asked.endpoint}.")
        await refuse(inbound, dialect, error, str(gw.new_request_id(gw.clock.now_ms())))
        return
    from bursar.gateway.readings import CONTENT_TYPE, readings_of

    await inbound.respond(200, {"content-type": CONTENT_TYPE}, readings_of(gw))


def _is_neighbour(gw: Gateway, inbound: Inbound) -> bool:
    peer, headers = inbound.scope.get("client"), inbound.scope["headers"]
    connected = client_address(peer[0] if peer else None, (), NOBODY)
    if connected is None:
        return False
    if any(name == FORWARDED for name, _ in headers) and connected not in gw.trusted_proxies:
        return False  # somebody forwards without our knowing: the peer is a proxy, and says nothing
    address = client_address(str(connected), headers, gw.trusted_proxies)
    return address is not None and address in gw.metrics_for
