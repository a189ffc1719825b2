"""`bursar audit verify`: walk the audit log's chain and say where it breaks."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

import typer

from bursar.core.audit_chain import mark_key
from bursar.db.audit import Verdict, verify
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.settings import Settings, secret_key_of

ANCHOR_SHAPE: Final = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64})")


def anchors_in(said: Sequence[str]) -> dict[int, bytes] | None:
    """`NUMBER:HASH` of each, as the worker's log has them; None when one is no anchor."""
    found = [ANCHOR_SHAPE.fullmatch(one) for one in said]
    return None if None in found else {int(one[1]): bytes.fromhex(one[2]) for one in found if one}


def run_verify(settings: Settings, dsn: str, anchors: Mapping[int, bytes], *, as_json: bool) -> int:
    """Print the verdict; 0 when the chain is whole, 1 otherwise."""
    verdict = asyncio.run(_walked(settings, dsn, anchors))
    typer.echo(json.dumps(told(verdict)) if as_json else in_words(verdict))
    return 0 if verdict.fault is None else 1


async def _walked(settings: Settings, dsn: str, anchors: Mapping[int, bytes]) -> Verdict:
    database = Database(dsn, Role.WORKER)
    try:
        return await verify(database, mark_key(secret_key_of(settings)), anchors)
    finally:
        await database.close()


def told(verdict: Verdict) -> dict[str, object]:
    fault = verdict.fault
    return {
        "ok": fault is None,
        "seq": verdict.at.seq,
        "hash": verdict.at.hash.hex(),
        "erased_parts": verdict.erased,
        "unsealed": verdict.unsealed,
        "unsealed_since": None if verdict.unsealed_since is None else verdict.unsealed_since.isoformat(),
        "broken": None if fault is None else {"seq": fault.seq, "id": fault.id, "why": fault.why},
    }


def in_words(verdict: Verdict) -> str:
    lines = [f"right up to entry {verdict.at.seq}, anchor {verdict.at.seq}:{verdict.at.hash.hex()}"]
    if verdict.erased:
        lines.append(f"{verdict.erased} personal parts were erased")
    if verdict.unsealed:
        since = verdict.unsealed_since
        lines.append(
            f"{verdict.unsealed} entries wait for the worker, the oldest since {since:%Y-%m-%dT%H:%M:%SZ}"
        )
    if verdict.fault is None:
        lines.append("the audit log is whole")
    else:
        number = "" if verdict.fault.id is None else f" (id {verdict.fault.id})"
        lines.append(f"THE AUDIT LOG IS BROKEN at entry {verdict.fault.seq}{number}: {verdict.fault.why}")
    return "\n".join(lines)
