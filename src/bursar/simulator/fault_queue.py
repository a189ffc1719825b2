"""Faults set from outside the request, through `/sim/faults` or by a test in the same process."""

from dataclasses import dataclass
from typing import Any

from bursar.simulator.faults import NONE, Faults, FaultScriptInvalid, given, read

QUEUE_MAX = 1000


@dataclass(slots=True, kw_only=True)
class QueuedFault:
    """One entry; empty criteria match everything, `remaining` None lasts until the queue is cleared."""

    faults: Faults
    remaining: int | None = 1
    provider: str = ""
    model: str = ""
    key: str = ""

    def matches(self, provider: str, model: str, key: str) -> bool:
        return self.provider in ("", provider) and self.model in ("", model) and self.key in ("", key)

    def shown(self) -> dict[str, Any]:
        """As JSON, without the key."""
        script = {name: getattr(self.faults, name) for name in given(self.faults)}
        return {"script": script, "remaining": self.remaining, "provider": self.provider, "model": self.model}


class FaultQueue:
    """Entries in order; the first that matches a request is used, and gone when used up."""

    def __init__(self) -> None:
        self._entries: list[QueuedFault] = []

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        self._entries.clear()

    def add(
        self, script: str, *, count: int | None = 1, provider: str = "", model: str = "", key: str = ""
    ) -> None:
        """Queue a fault script.

        Args:
            script: words as in a directive, e.g. `status=503 retry_after=2`.
            count: how many requests it applies to; None until cleared.
            provider: `openai`, `anthropic`, `gemini`, `compatible`, or any.
            model: name as requested, without a script suffix.
            key: the credential as sent.

        Raises:
            FaultScriptInvalid: the script, or the queue is full.
        """
        if len(self._entries) >= QUEUE_MAX:
            raise FaultScriptInvalid("sim: the fault queue is full")
        entry = QueuedFault(faults=read(script), remaining=count, provider=provider, model=model, key=key)
        self._entries.append(entry)

    def add_json(self, value: Any) -> None:
        """Queue what `/sim/faults` was sent: the arguments of `add` as an object."""
        if not isinstance(value, dict):
            raise FaultScriptInvalid("sim: needs an object")
        known = {"script", "count", "provider", "model", "key"}
        count = value.get("count", 1)
        texts = [value.get(name, "") for name in known - {"count"}]
        if set(value) - known or not all(isinstance(text, str) for text in texts) or "script" not in value:
            raise FaultScriptInvalid("sim: needs script, and may have count, provider, model, key")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise FaultScriptInvalid("sim: count is a number from 1, or null for always")
        self.add(**value)

    def take(self, provider: str, model: str, key: str) -> Faults:
        """The faults queued for this request."""
        for entry in self._entries:
            if entry.matches(provider, model, key):
                if entry.remaining is not None:
                    entry.remaining -= 1
                    if entry.remaining <= 0:
                        self._entries.remove(entry)
                return entry.faults
        return NONE

    def shown(self) -> list[dict[str, Any]]:
        return [entry.shown() for entry in self._entries]
