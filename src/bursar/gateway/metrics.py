"""`GET /metrics`: what this process would like to be watched for.

Counted where it happens and only read here, so that requests pay nothing for it. Without a key, so only for
addresses on a list; whoever comes through a proxy that is not trusted is nobody's neighbour.
"""

from typing import Final

from bursar.core.addresses import client_address
from bursar.gateway.dialects import Asked, Dialect
from bursar.gateway.errors import GatewayError
from bursar.gateway.inbound import Inbound
from bursar.gateway.pipeline import refuse
from bursar.gateway.runtime import Gateway

FORWARDED: Final = b"x-forwarded-for"


async def show_metrics(gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked) -> None:
    """Tell them to neighbours; to others there is nothing here."""
    if not _is_neighbour(gw, inbound):
        error = GatewayError(404, "unknown_url", f"There is nothing at GET {asked.endpoint}.")
        await refuse(inbound, dialect, error, str(gw.new_request_id(gw.clock.now_ms())))
        return
    from bursar.gateway.readings import CONTENT_TYPE, readings_of

    await inbound.respond(200, {"content-type": CONTENT_TYPE}, readings_of(gw))


def _is_neighbour(gw: Gateway, inbound: Inbound) -> bool:
    peer = inbound.scope.get("client")
    headers = inbound.scope["headers"]
    address = client_address(peer[0] if peer else None, headers, gw.trusted_proxies)
    nobody_between = peer is not None and address is not None and str(address) == peer[0]
    if nobody_between and any(name == FORWARDED for name, _ in headers):
        return False  # somebody forwards without our knowing: the peer is a proxy, and says nothing
    return address is not None and address in gw.metrics_for
