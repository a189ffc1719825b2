"""Prompt caches: remember prefixes, report what a later request shares with them."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

PREFIXES_MAX = 20_000
BLOCK_BYTES = 512
BLOCKS_MAX = 2048
"""Automatic caching looks at the first MiB of a prompt only."""
OPENAI_TOKENS_MIN = 1024
OPENAI_STEP = 128
"""https://developers.openai.com/api/docs/guides/prompt-caching: from 1024 tokens, in steps of 128."""
TTL_S = {"5m": 300, "1h": 3600}
AUTOMATIC_TTL_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One block of a prompt in order; `ttl` is set where the caller put a cache breakpoint after it."""

    content: bytes
    tokens: int
    ttl: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUse:
    """Input tokens by what the cache did with them; what is left of the prompt is fresh."""

    read: int = 0
    write_5m: int = 0
    write_1h: int = 0


class PromptCache:
    """Prefix digests with their expiry, least recently used forgotten first."""

    def __init__(self) -> None:
        self._expiry: OrderedDict[bytes, float] = OrderedDict()

    def clear(self) -> None:
        self._expiry.clear()

    def _known(self, digest: bytes, now: float) -> bool:
        return self._expiry.get(digest, 0.0) > now

    def _remember(self, digest: bytes, until: float) -> None:
        self._expiry[digest] = until
        self._expiry.move_to_end(digest)
        while len(self._expiry) > PREFIXES_MAX:
            self._expiry.popitem(last=False)

    def automatic(self, scope: bytes, prompt: bytes, tokens: int) -> int:
        """OpenAI: how many tokens of this prompt were seen before (a multiple of 128), and remember it.

        Counted by blocks of 512 bytes: matched bytes over all bytes, times the prompt's tokens.
        """
        if tokens < OPENAI_TOKENS_MIN:
            return 0
        now, digest, matched, unbroken = time.monotonic(), blake2b(scope, digest_size=16).digest(), 0, True
        for at in range(0, min(len(prompt), BLOCKS_MAX * BLOCK_BYTES) - BLOCK_BYTES + 1, BLOCK_BYTES):
            digest = blake2b(digest + prompt[at : at + BLOCK_BYTES], digest_size=16).digest()
            unbroken = unbroken and self._known(digest, now)
            if unbroken:
                matched = at + BLOCK_BYTES
            self._remember(digest, now + AUTOMATIC_TTL_S)
        shared = tokens * matched // len(prompt)
        return shared - shared % OPENAI_STEP if shared >= OPENAI_TOKENS_MIN else 0

    def explicit(self, scope: bytes, segments: Sequence[Segment], tokens_min: int) -> CacheUse:
        """Anthropic: read the longest remembered prefix, write the rest up to each breakpoint."""
        now, digest = time.monotonic(), blake2b(scope, digest_size=16).digest()
        last = max((at for at, segment in enumerate(segments) if segment.ttl), default=-1)
        total = read = written = 0
        writes = {"5m": 0, "1h": 0}
        for segment in segments[: last + 1]:
            digest = blake2b(digest + segment.content, digest_size=16).digest()
            total += segment.tokens
            if self._known(digest, now):
                read = written = total
                writes = {"5m": 0, "1h": 0}
            if segment.ttl and total >= tokens_min:
                writes[segment.ttl] += total - written
                written = total
                self._remember(digest, now + TTL_S[segment.ttl])
        return CacheUse(read=read, write_5m=writes["5m"], write_1h=writes["1h"])
