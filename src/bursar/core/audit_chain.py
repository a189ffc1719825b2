"""The chain of the audit log: what an entry's hash covers, and the walk that finds the first broken entry.

hash(n) = SHA-256(hash(n-1) || all open fields of entry n || the digests of its personal parts), so an entry
changed, removed or put between shows at its place. mark(n) = HMAC-SHA-256(key, hash(n)), with a key the
database does not know: who owns the database may compute every hash anew, but not the marks.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

GENESIS: Final = bytes(32)
"""What the first entry follows."""

KEY_PURPOSE: Final = b"bursar audit mark 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is personal of an entry. Erased: only the digest is left. No digest: there never was anything."""

    text: str | None = None
    salt: bytes | None = None
    digest: bytes | None = None

    @property
    def is_erased(self) -> bool:
        return self.text is None and self.digest is not None

    def holds(self) -> bool:
        """What is there is what the digest was made of."""
        if self.text is None:
            return True
        return (
            self.salt is not None and self.digest == hashlib.sha256(self.salt + self.text.encode()).digest()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry as the database keeps it. `at_us`: microseconds since 1970."""

    id: int
    at_us: int
    organisation_id: UUID | None
    internal: bool
    person_id: UUID | None
    actor_kind: str
    actor_id: UUID | None
    db_role: str
    action: str
    subject: str
    subject_id: str
    changes: str
    actor: Part
    row: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The place of an entry in the chain."""

    seq: int
    hash: bytes
    mark: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place of the chain that somebody noted elsewhere, such as from the worker's log."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing that is wrong: which entry, and how it shows."""

    seq: int
    id: int | None
    why: str


def mark_key(secret: bytes) -> bytes:
    """The key of the marks, made of the installation's secret."""
    return hmac.digest(secret, KEY_PURPOSE, "sha256")


def content_of(entry: Entry) -> bytes:
    """Every field with its length before it, so that nothing can be moved from one field to the next."""
    fields: tuple[object, ...] = (
        entry.id,
        entry.at_us,
        entry.organisation_id,
        entry.internal,
        entry.person_id,
        entry.actor_kind,
        entry.actor_id,
        entry.db_role,
        entry.action,
        entry.subject,
        entry.subject_id,
        entry.changes,
        None if entry.actor.digest is None else entry.actor.digest.hex(),
        None if entry.row.digest is None else entry.row.digest.hex(),
    )
    return b"".join(_framed(one) for one in fields)


def _framed(value: object) -> bytes:
    if value is None:
        return b"-"
    encoded = str(value).encode()
    return b"%d:%s" % (len(encoded), encoded)


def seal(entry: Entry, after: Anchor, key: bytes) -> Seal:
    """The seal of the entry that follows `after`."""
    linked = hashlib.sha256(after.hash + content_of(entry)).digest()
    return Seal(seq=after.seq + 1, hash=linked, mark=hmac.digest(key, linked, "sha256"))


START: Final = Anchor(0, GENESIS)


@dataclass(slots=True)
class Walk:
    """Goes along the chain from its first entry, in constant memory. It ends at the first fault.

    Attributes:
        key: see `mark_key`.
        anchors: places noted elsewhere, which the chain must still have.
        at: the last entry seen that was right.
        erased: personal parts that are gone.
        told: how many of them the log's own entries say were erased.
    """

    key: bytes
    anchors: dict[int, bytes] = field(default_factory=dict)
    at: Anchor = START
    erased: int = 0
    told: int = 0
    fault: Fault | None = None

    def step(self, entry: Entry, found: Seal, *, told: int = 0) -> bool:
        """Check the next entry; False: it is the first that is broken. `told`: parts it says it erased."""
        why = self._why_not(entry, found)
        if why is not None:
            self.fault = Fault(seq=self.at.seq + 1, id=entry.id, why=why)
            return False
        self.at = Anchor(found.seq, found.hash)
        self.erased += entry.actor.is_erased + entry.row.is_erased
        self.told += told
        return True

    def end(self) -> Fault | None:
        """After the last entry: what is wrong with the whole, if anything."""
        if self.fault is not None:
            return self.fault
        beyond = [seq for seq in self.anchors if seq > self.at.seq]
        if beyond:
            self.fault = Fault(seq=self.at.seq + 1, id=None, why="the chain ends before an anchor")
        elif self.erased != self.told:
            why = f"{self.erased} personal parts are gone, the log tells of {self.told}"
            self.fault = Fault(seq=self.at.seq, id=None, why=why)
        return self.fault

    def _why_not(self, entry: Entry, found: Seal) -> str | None:
        wanted = seal(entry, self.at, self.key)
        anchor = self.anchors.get(found.seq)
        checks = (
            (found.seq == wanted.seq, "entries before it are missing"),
            (entry.actor.holds() and entry.row.holds(), "a personal part is not what was written"),
            (hmac.compare_digest(found.hash, wanted.hash), "it, or its place, is not what was sealed"),
            (hmac.compare_digest(found.mark, wanted.mark), "it was not sealed with this installation's key"),
            (anchor is None or anchor == found.hash, "an anchor of this place has another hash"),
        )
        return next((why for right, why in checks if not right), None)
