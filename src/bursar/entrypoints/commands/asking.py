"""Options that several commands share."""

from contextvars import ContextVar
from typing import Annotated

import typer

wants_json: ContextVar[bool] = ContextVar("wants_json", default=False)
"""Whether the command under way was given `--json`: its refusals are JSON too."""


def note_json(value: bool) -> bool:
    wants_json.set(value)
    return value


AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, for programs.", callback=note_json, is_eager=True)
]
Organisation = Annotated[str, typer.Argument(help="An organisation: its id or its exact name.")]
Provider = Annotated[str, typer.Argument(help="A provider: its short name or its id.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="Most items to show.")]
Cursor = Annotated[str | None, typer.Option(help="`next_cursor` of the page before.")]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(help="Repeat a command with the same key and it happens once. Absent: a fresh one."),
]
MemberOption = Annotated[
    str | None, typer.Option("--member", help="Of all keys a member made: his id or mail address.")
]
ProjectOption = Annotated[
    str | None, typer.Option("--project", help="Of all keys in a project: its name or id.")
]
TeamOption = Annotated[
    str | None, typer.Option("--team", help="Of all keys in a team's projects: its name or id.")
]
