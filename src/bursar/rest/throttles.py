"""How often something may be tried: by network, mail address or domain of a stranger, by organisation.

Counted in the Redis that programs share, when there is one, else in this process. A Redis that is away is
no reason to let everybody try as often as he likes: this process then counts by itself.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from fastapi import Depends, params

from bursar.core.limits import Check, Kind
from bursar.rest.control import Control, Means
from bursar.rest.problems import Refusal

log = structlog.get_logger(__name__)

SECONDS_PER_MINUTE: Final = 60
SECONDS_PER_HOUR: Final = 3_600
MAILS_PER_HOUR: Final = 6
MAILS_AT_ONCE: Final = 3
"""To one address, whoever asks: a person needs one or two; more is a way to fill somebody's mailbox."""


class TooManyTries(Refusal):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_tries"

    def __init__(self, retry_ms: int) -> None:
        super().__init__("Too many tries; wait before the next one.")
        self.headers = {"retry-after": str(-(-retry_ms // 1000))}


class Try(NamedTuple):
    """One try of something by somebody: `per_hour` of them, at most `burst` in a row.

    `what` and `who` name the counter; `who` is kept as a digest only.
    """

    what: str
    who: str
    per_hour: int
    burst: int


def mail_to(address: str) -> Try:
    """A mail to somebody who did not ask for it, as far as we know. `address` in lower case."""
    return Try("mail_to", address, MAILS_PER_HOUR, MAILS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class ByOrganisation:
    """A route's dependency: what all members of the path's organisation do together, and operators for it."""

    what: str
    per_hour: int
    burst: int

    async def __call__(self, organisation_id: UUID, control: Means) -> None:
        """Raises `TooManyTries`."""
        await throttle(control, [Try(self.what, str(organisation_id), self.per_hour, self.burst)])


def at_most(what: str, *, per_hour: int, burst: int) -> list[params.Depends]:
    """Of a route's `dependencies`, after its policy: who may not is not counted."""
    return [Depends(ByOrganisation(what, per_hour, burst))]


async def throttle(control: Control, tries: Sequence[Try]) -> None:
    """Take all tries or none.

    Raises:
        TooManyTries: one of them has none left; `Retry-After` says for how long.
    """
    checks = [_check(one) for one in tries]
    now_ms = control.edge.clock.now_ms()
    answer = None
    if control.counters is not None:
        try:
            answer = await control.counters.admit(checks, "", now_ms)
        except control.counters.unavailable as error:
            log.warning("throttle.counts_alone", error=type(error).__name__)
    if answer is None:
        answer = await control.tries.admit(checks, "", now_ms)
    if answer.refused is not None:
        log.info("throttle.refused", what=tries[answer.refused].what)
        raise TooManyTries(answer.standings[answer.refused].retry_ms)


def _check(one: Try) -> Check:
    """A bucket of seconds: each try takes so many as must pass until the next."""
    amount = max(SECONDS_PER_HOUR // one.per_hour, 1)
    who = hashlib.sha256(one.who.encode()).hexdigest()[:32]
    return Check(f"tries:{one.what}:{who}", Kind.REQUESTS, SECONDS_PER_MINUTE, amount * one.burst, amount)
