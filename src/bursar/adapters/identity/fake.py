"""A source that needs no network: whoever is waiting there is let in.

It keeps to the protocol as strictly as the real ones: a code is good once, for the verifier's challenge and
the place it was made for.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from bursar.adapters.identity import (
    Attempt,
    IdentityRefused,
    IdentityUnavailable,
    Proven,
    Source,
)


@dataclass(frozen=True, slots=True)
class Promise:
    """What a code will be worth."""

    person: Proven
    source: str
    challenge: str
    redirect_uri: str


SOMEBODY: Final = Proven(subject="somebody", email="somebody@people.example", email_verified=True)


@dataclass(slots=True)
class FakeIdentities:
    """`person`: who stands at the door. `is_away`: nobody answers."""

    person: Proven = SOMEBODY
    is_away: bool = False
    promises: dict[str, Promise] = field(default_factory=dict)

    async def begin(self, source: Source, attempt: Attempt, now: datetime) -> str:
        await self.check(source, now)
        challenge = create_s256_code_challenge(attempt.verifier)
        asked = {
            "client_id": source.client_id,
            "state": attempt.state,
            "redirect_uri": attempt.redirect_uri,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        self.promises[f"code-{challenge}"] = Promise(self.person, source.key, challenge, attempt.redirect_uri)
        return f"https://door.example/{source.key}?{urlencode(asked)}"

    def welcome(self, url: str, person: Proven) -> str:
        """Somebody else is at the door that `url` leads to; answers his code."""
        code = "code-" + url.partition("code_challenge=")[2].partition("&")[0]
        self.promises[code] = replace(self.promises[code], person=person)
        return code

    async def finish(self, source: Source, attempt: Attempt, code: str, now: datetime) -> Proven:
        """Raises `IdentityRefused`."""
        await self.check(source, now)
        promise = self.promises.pop(code, None)
        challenge = create_s256_code_challenge(attempt.verifier)
        if promise is None or (promise.source, promise.challenge, promise.redirect_uri) != (
            source.key,
            challenge,
            attempt.redirect_uri,
        ):
            raise IdentityRefused(f"{source.key}: no token for this code")
        return promise.person

    async def check(self, source: Source, _now: datetime) -> None:
        if self.is_away:
            raise IdentityUnavailable(f"{source.key}: away")

    async def close(self) -> None:
        self.promises.clear()
