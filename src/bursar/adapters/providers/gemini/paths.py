"""Where the Gemini API is asked, and how one says who asks."""

from urllib.parse import quote

from bursar.adapters.providers import Attempt

_SAFE = "-._~:@"


def path_of(attempt: Attempt, action: str, *, sse: bool = False) -> str:
    """`/models/gemini-2.5-flash:generateContent`; `sse` asks for events instead of one growing array."""
    name = attempt.deployment.provider_model
    resource = name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"
    return f"/{quote(resource, safe=f'{_SAFE}/')}:{action}{'?alt=sse' if sse else ''}"


def headers_for(attempt: Attempt) -> dict[str, str]:
    """The key goes in a header: an address is logged on its way."""
    return {"x-goog-api-key": attempt.secret, "content-type": "application/json"}
