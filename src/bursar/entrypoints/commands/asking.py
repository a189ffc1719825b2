"""Options that several commands share."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Organisation = Annotated[str, typer.Argument(help="An organisation: its id or its exact name.")]
Provider = Annotated[str, typer.Argument(help="A provider: its short name or its id.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="Most items to show.")]
Cursor = Annotated[str | None, typer.Option(help="`next_cursor` of the page before.")]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(help="Repeat a command with the same key and it happens once. Absent: a fresh one."),
]
