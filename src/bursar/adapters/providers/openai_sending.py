"""How a request to a server that speaks as OpenAI does is addressed and signed."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from bursar.adapters.providers import Attempt, UpstreamRequest

Send = Callable[[str, Mapping[str, Any], Attempt], UpstreamRequest]
"""Path, body and attempt → the request with the server's own address and credential in it."""


def send(path: str, body: Mapping[str, Any], attempt: Attempt) -> UpstreamRequest:
    """As OpenAI takes it: a bearer's key."""
    headers = {"authorization": f"Bearer {attempt.secret}", "content-type": "application/json"}
    return UpstreamRequest(path=path, headers=headers, body=orjson.dumps(body))
