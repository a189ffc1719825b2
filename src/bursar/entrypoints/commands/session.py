"""Run a service from the command line: settings, database, one transaction, and failures as one line."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import orjson
import typer
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy.exc import DBAPIError

from bursar.db.engine import ReadSession, Transaction
from bursar.entrypoints import logs
from bursar.entrypoints.actors import cli_actor
from bursar.entrypoints.api import control_of
from bursar.entrypoints.commands.asking import wants_json
from bursar.entrypoints.database import database
from bursar.rest.control import Control
from bursar.rest.edge import Occasion
from bursar.rest.fields import Moment
from bursar.rest.idempotency import KEY_SHAPE
from bursar.rest.paging import PageAsked
from bursar.rest.problems import Refusal, refusal_of
from bursar.settings import Settings

EXIT_REFUSED = 1
EXIT_USAGE = 2

Result = TypeVar("Result")
Asked = TypeVar("Asked", bound=BaseModel)


def transact(work: Callable[[Control, Transaction], Awaitable[Result]]) -> Result:
    """Run `work` as the operator in one transaction."""

    async def writing(control: Control) -> Result:
        async with control.database.transaction(operator=True) as tx:
            return await work(control, tx)

    return run(writing)


def keep_accounts(work: Callable[[Control, Transaction], Awaitable[Result]]) -> Result:
    """Run `work` as what keeps people's accounts in one transaction."""

    async def writing(control: Control) -> Result:
        async with control.database.transaction(accounts=True) as tx:
            return await work(control, tx)

    return run(writing)


def look(work: Callable[[Control, ReadSession], Awaitable[Result]]) -> Result:
    """Run `work` as the operator; it can only read."""

    async def reading(control: Control) -> Result:
        async with control.database.read(operator=True) as read:
            return await work(control, read)

    return run(reading)


def asked(kind: type[Asked], /, **values: Any) -> Asked:
    """Check what was typed as a request body is checked; absent options stay absent."""
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        refuse(
            "invalid_request", f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}", EXIT_USAGE
        )


def page(limit: int, cursor: str | None) -> PageAsked:
    return PageAsked(limit=limit, cursor=cursor)


def id_in(text: str) -> UUID | None:
    """The id that `text` is, or None when it must be a name."""
    try:
        return UUID(text)
    except ValueError:
        return None


def a_uuid(text: str, what: str) -> UUID:
    """The id that `text` must be."""
    found = id_in(text)
    if found is None:
        refuse("invalid_request", f"{what} must be an id", EXIT_USAGE)
    return found


def one_of(text: str | None, choices: Sequence[str], option: str) -> Any:
    """`text`, when it is one of the choices or was not said."""
    if text is not None and text not in choices:
        refuse("invalid_request", f"{option} must be one of: {', '.join(choices)}", EXIT_USAGE)
    return text


def moment(text: str | None) -> datetime | None:
    """A time with its zone."""
    if text is None:
        return None
    try:
        return TypeAdapter(Moment).validate_python(text)
    except ValidationError as error:
        refuse("invalid_request", f"{text}: {error.errors()[0]['msg']}", EXIT_USAGE)


def tags_in(texts: list[str] | None) -> dict[str, str] | None:
    """`name=text` each; None: none was given."""
    if not texts:
        return None
    pairs = [text.partition("=") for text in texts]
    if not all(sign for _, sign, _ in pairs):
        refuse("invalid_request", "--tag: such as cost-center=42", EXIT_USAGE)
    return {name: value for name, _, value in pairs}


def occasion(control: Control, key: str | None) -> Occasion:
    """One write of money, under the key given or a fresh one."""
    if key is not None and not KEY_SHAPE.fullmatch(key):
        refuse("idempotency_key_invalid", "--idempotency-key: 1 to 128 visible ASCII characters", EXIT_USAGE)
    return Occasion(control.edge, key or str(control.edge.new_id()))


def refuse(code: str, detail: str, exit_code: int = EXIT_REFUSED) -> NoReturn:
    """Say it on standard error: a line for people, JSON when `--json` was asked for."""
    if wants_json.get():
        typer.echo(orjson.dumps({"code": code, "detail": detail}).decode(), err=True)
    else:
        typer.echo(f"bursar: {detail}", err=True)
    raise typer.Exit(exit_code)


def run(work: Callable[[Control], Awaitable[Result]]) -> Result:
    """Run `work`, which opens its own transactions. An expected failure ends the program with one line."""
    settings = Settings.load()
    level = settings.log_level if "log_level" in settings.model_fields_set else "warning"
    logs.set_up(level, settings.log_format)
    with database(settings) as dsn:
        try:
            return asyncio.run(_with_control(settings, settings.dsn_of("api", dsn), work))
        except (Refusal, DBAPIError) as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            refuse(refusal.code, refusal.detail)


async def _with_control(settings: Settings, url: str, work: Callable[[Control], Awaitable[Result]]) -> Result:
    async with _control(settings, url) as control:
        return await work(control)


@asynccontextmanager
async def _control(settings: Settings, url: str) -> AsyncIterator[Control]:
    control = control_of(settings, url, actor=cli_actor())
    try:
        yield control
    finally:
        await control.close()
