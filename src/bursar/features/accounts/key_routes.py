"""The keys that access tokens are verified with, for programs of others (RFC 7517)."""

from typing import Any

from fastapi import APIRouter, Depends, Response

from bursar.rest.access_tokens import key_set
from bursar.rest.callers import Public
from bursar.rest.control import Means

KEPT_FOR_S = 300

router = APIRouter(tags=["auth"])


@router.get(
    "/.well-known/jwks.json",
    dependencies=[Depends(Public("Public halves of keys are for everybody."))],
)
async def json_web_keys(control: Means, response: Response) -> dict[str, list[dict[str, Any]]]:
    """The public keys, newest first. An unknown `kid`: ask again, keys change every month."""
    response.headers["cache-control"] = f"public, max-age={KEPT_FOR_S}"
    found = await key_set(control.database, control.edge.now())
    return {"keys": list(found["keys"])}
