"""Does a secret look like a credential of its provider? Pure; only the provider can prove more."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from bursar.rest.problems import Invalid

# Shorter ones exist nowhere; a slip of the clipboard does.
LENGTH_MIN: Final = 8

BEGINS: Final[Mapping[str, str]] = {
    "api.openai.com": "sk-",
    "api.anthropic.com": "sk-ant-",
    "openrouter.ai": "sk-or-",
    "api.groq.com": "gsk_",
    "api.x.ai": "xai-",
}
"""How credentials begin that these hosts issue, by their own documents. Other hosts take anything."""


class OwnCredentialInvalid(Invalid):
    code = "credential_invalid"


def checked_secret(given: str, base_url: str, key_prefix: str) -> str:
    """The secret without the blanks around it. `key_prefix` is how keys of this Bursar begin.

    Raises:
        OwnCredentialInvalid: no header could carry it, or it is plainly somebody else's.
    """
    secret = given.strip()
    if len(secret) < LENGTH_MIN or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise OwnCredentialInvalid(
            f"body.secret: must be {LENGTH_MIN} or more visible ASCII characters without blanks."
        )
    if secret.startswith(key_prefix):
        raise OwnCredentialInvalid("body.secret: this is a key of this server, not one of the provider.")
    host = urlsplit(base_url).hostname or ""
    begins = BEGINS.get(host)
    if begins is not None and not _fits(secret, begins):
        raise OwnCredentialInvalid(f"body.secret: credentials of this provider begin with {begins}")
    return secret


def _fits(secret: str, begins: str) -> bool:
    """`sk-ant-…` begins with `sk-` too, but is Anthropic's: the longest match decides."""
    return begins == max((one for one in BEGINS.values() if secret.startswith(one)), key=len, default=None)
