"""`bursar books check`, and the same as a round of the worker."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta

import structlog
import typer

from bursar.db.checks import Finding, check_books, is_clean
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.settings import Settings

log = structlog.get_logger()

OFFENDERS_SHOWN = 10


def run_check(settings: Settings, dsn: str, *, as_json: bool) -> int:
    """Print how every check came out; 0 when the books balance, 1 otherwise."""
    findings = asyncio.run(asked_once(settings, dsn))
    ok = is_clean(tuple(findings))
    if as_json:
        typer.echo(json.dumps({"ok": ok, "checks": [finding.as_json() for finding in findings]}))
    else:
        for finding in findings:
            typer.echo(line_of(finding))
        typer.echo("the books balance" if ok else "THE BOOKS ARE BROKEN")
    return 0 if ok else 1


async def asked_once(settings: Settings, dsn: str) -> Sequence[Finding]:
    database = Database(dsn, Role.WORKER)
    try:
        return await check_books(database, life=timedelta(milliseconds=settings.process_dead_ms))
    finally:
        await database.close()


def line_of(finding: Finding) -> str:
    """One check for people: verdict, name, what it says, and who breaks it."""
    if finding.ok is None:
        return f"  -     {finding.name}: {finding.says} (waits for {finding.waits_for})"
    if finding.ok:
        return f"  ok    {finding.name}: {finding.says}"
    shown = ", ".join(finding.offenders[:OFFENDERS_SHOWN])
    more = f" and {finding.count - OFFENDERS_SHOWN} more" if finding.count > OFFENDERS_SHOWN else ""
    return f"  FAIL  {finding.name}: {finding.says}: {shown}{more}"


async def check_round(database: Database, life: timedelta) -> bool:
    """Check, and raise the alarm when something is broken. There is never more to do at once."""
    findings = await check_books(database, life=life)
    broken = {
        finding.name: list(finding.offenders[:OFFENDERS_SHOWN]) for finding in findings if finding.ok is False
    }
    if broken:
        log.error("books.broken", checks=broken)
    else:
        log.info("books.balanced", checks=len(findings))
    return False
