"""Print answers: tables for people, JSON for programs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bursar.rest.paging import Page

# Wide enough for ids and names when nobody's window says otherwise (a pipe, a log).
WIDTH_WITHOUT_WINDOW = 240


def tell(answer: BaseModel, *, as_json: bool) -> None:
    """Print one thing: a property per line."""
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
        return
    width = max(len(name) for name in type(answer).model_fields)
    for name, value in answer.model_dump(mode="json").items():
        typer.echo(f"{name:<{width}}  {brief(value)}")


def tell_page(page: Page[Any], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a page as a table of some columns, or everything as JSON."""
    if as_json:
        typer.echo(page.model_dump_json(indent=2))
        return
    tell_rows([item.model_dump(mode="json") for item in page.items], columns)
    if page.next_cursor:
        typer.echo(f"more: --cursor {page.next_cursor}", err=True)


def tell_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as a table."""
    if not rows:
        typer.echo("none", err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(brief(row[column]) for column in columns))
    console = Console(highlight=False, markup=False)
    console.width = console.width if console.is_terminal else WIDTH_WITHOUT_WINDOW
    console.print(table)


def brief(value: Any) -> str:
    """One value on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(brief(item) for item in value) or "-"
    if isinstance(value, dict):
        return " ".join(f"{name}={brief(item)}" for name, item in value.items()) or "-"
    return str(value)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while long work runs; nothing when nobody is watching."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def step(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield step
