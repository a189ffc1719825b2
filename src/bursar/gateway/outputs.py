"""How long answers get: the p95 of recent outputs per key and model, to size the holds of streams."""

from collections import OrderedDict, deque
from typing import Final
from uuid import UUID

SAMPLES: Final = 64
SAMPLES_MIN: Final = 20  # fewer say nothing about a tail
RECOUNT_EVERY: Final = 16
PAIRS_MAX: Final = 50_000  # pairs of key and model remembered; the longest unused is forgotten first
HEADROOM: Final = 2  # twice the p95: a hold that is extended often costs more than one that is a little large
TOKENS_MIN: Final = 256


class _Recent:
    __slots__ = ("p95", "reasons", "seen", "values")

    def __init__(self) -> None:
        self.values: deque[int] = deque(maxlen=SAMPLES)
        self.seen = 0
        self.p95: int | None = None
        self.reasons = False


class OutputHistory:
    """Output tokens of finished answers, per (key, model)."""

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[UUID, str], _Recent] = OrderedDict()

    def note(self, key_id: UUID, model: str, output_tokens: int, *, unseen_tokens: int = 0) -> None:
        """Remember a finished answer; `unseen_tokens` of its output were reasoning."""
        recent = self._recent.get((key_id, model))
        if recent is None:
            recent = self._recent[key_id, model] = _Recent()
            if len(self._recent) > PAIRS_MAX:
                self._recent.popitem(last=False)
        recent.values.append(output_tokens)
        recent.reasons = recent.reasons or unseen_tokens > 0
        recent.seen += 1
        if recent.seen >= SAMPLES_MIN and recent.seen % RECOUNT_EVERY == SAMPLES_MIN % RECOUNT_EVERY:
            ranked = sorted(recent.values)
            recent.p95 = ranked[(len(ranked) * 95 - 1) // 100]
            self._recent.move_to_end((key_id, model))

    def expected(self, key_id: UUID, model: str, bound: int) -> int:
        """Output tokens worth holding for: at most `bound`, and `bound` itself while little is known.

        A model that was seen to reason is held for in full: what nobody sees cannot be cut off in time.
        """
        recent = self._recent.get((key_id, model))
        if recent is None or recent.p95 is None or recent.reasons:
            return bound
        return min(bound, max(TOKENS_MIN, HEADROOM * recent.p95))
