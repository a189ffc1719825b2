"""Whose pages may sign somebody in: our own, and those of the allow-list.

What is asked with a session is guarded by its CSRF token. Signing in happens before there is one, so the
page's origin, which a browser says truthfully, is looked at: another's page signs nobody in as somebody else.
Programs send no origin.
"""

from urllib.parse import urlsplit

from fastapi import Request

from bursar.rest.control import Control, Means
from bursar.rest.problems import Forbidden


class OriginRefused(Forbidden):
    code = "origin_refused"

    def __init__(self) -> None:
        super().__init__("This page may not sign anybody in: its origin is not on the list.")


def origin_of(url: str) -> str:
    """`https://host:port` of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def allowed_origins(control: Control) -> frozenset[str]:
    return frozenset({origin_of(control.policy.public_url), *control.policy.origins})


async def from_our_pages(request: Request, control: Means) -> None:
    """A dependency of routes that hand out cookies. Raises `OriginRefused`."""
    said = request.headers.get("origin")
    if said is None or said in allowed_origins(control):
        return
    if said.partition("://")[2] != request.headers.get("host"):
        raise OriginRefused
