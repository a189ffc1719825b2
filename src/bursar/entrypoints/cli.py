"""The `bursar` command. Each command imports what it runs when it runs: `bursar --help` stays quick."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Annotated, NoReturn

import typer

from bursar.entrypoints.commands import mount
from bursar.entrypoints.starting import loaded
from bursar.settings import Settings, SettingsInvalid

EXIT_FAILED = 1
EXIT_SETTINGS = 2
EXIT_TERMINATED = 128 + signal.SIGTERM
EXIT_INTERRUPTED = 128 + signal.SIGINT

app = typer.Typer(
    name="bursar",
    help="Sell AI by the drop: one key for every model, every request funded, measured, priced and booked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
books = typer.Typer(help="Prove that the books balance.", no_args_is_help=True)
db = typer.Typer(help="The database.", no_args_is_help=True)
app.add_typer(books, name="books")
app.add_typer(db, name="db")
mount(app)

PortOption = Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")]
HostOption = Annotated[str | None, typer.Option(help="Address to listen on.")]
WithParent = Annotated[
    bool, typer.Option("--with-parent", hidden=True, help="End when standard input closes.")
]


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bursar {metadata.version('bursar')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""


@contextmanager
def server_database(settings: Settings) -> Iterator[str]:
    """A database with the newest schema, whoever's it is."""
    from bursar.db.migrate import migrate
    from bursar.entrypoints.database import database

    with database(settings) as dsn:
        if settings.database_url:
            migrate(dsn)
        yield dsn


@app.command()
def serve(host: HostOption = None, port: PortOption = None) -> None:
    """Run everything on one port: gateway, API and a worker beside them."""
    from bursar.entrypoints import serve as server

    settings = loaded(host, port)
    with server_database(settings) as dsn:
        server.run(server.all_in_one, settings, dsn)


@app.command()
def gateway(host: HostOption = None, port: PortOption = None) -> None:
    """Run the gateway alone: /v1 and /v1beta, in every dialect."""
    from bursar.entrypoints import serve as server
    from bursar.entrypoints.database import database

    settings = loaded(host, port)
    with database(settings, "gateway") as dsn:
        server.run(server.gateway_alone, settings, dsn)


@app.command()
def api(host: HostOption = None, port: PortOption = None) -> None:
    """Run the control plane alone: /api/v1 and its documents at /docs."""
    from bursar.entrypoints import serve as server
    from bursar.entrypoints.database import database

    settings = loaded(host, port)
    with database(settings, "api") as dsn:
        server.run(server.api_alone, settings, dsn)


@app.command()
def worker(with_parent: WithParent = False) -> None:
    """Run the worker: posting, sweeping, expiry, partitions, events, books check."""
    from bursar.entrypoints.database import database
    from bursar.entrypoints.worker import run_worker

    settings = loaded()
    with database(settings, "worker") as dsn:
        run_worker(settings, dsn, with_parent=with_parent)


@app.command()
def simulate(
    host: HostOption = None,
    port: PortOption = None,
    tokens_per_s: Annotated[int, typer.Option(min=0, help="Speed of the answers; 0: at once.")] = 0,
    first_token_ms: Annotated[int, typer.Option(min=0, help="Wait before an answer begins.")] = 0,
    with_parent: WithParent = False,
) -> None:
    """Run providers that are not there: OpenAI, Anthropic, Google and more, with faults on request."""
    from bursar.entrypoints.simulate import run_simulator
    from bursar.simulator.settings import SimulatorSettings

    pace = SimulatorSettings(tokens_per_s=tokens_per_s, first_token_ms=first_token_ms)
    run_simulator(loaded(host), pace, port=port, with_parent=with_parent)


@app.command()
def demo(host: HostOption = None, port: PortOption = None) -> None:
    """Run everything with simulated providers, USD 100.00 and a key; prints what to paste."""
    from bursar.entrypoints.demo import run_demo

    run_demo(loaded(host, port, quiet=True))


@db.command("migrate")
def db_migrate() -> None:
    """Bring the database to the newest schema."""
    with server_database(loaded(quiet=True)):
        typer.echo("the schema is up to date")


@books.command("check")
def books_check(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Check every invariant of the books; exit 1 and name the offenders when one fails."""
    from bursar.entrypoints.books import run_check
    from bursar.entrypoints.database import database

    settings = loaded(quiet=True)
    with database(settings, "worker") as dsn:
        raise typer.Exit(run_check(settings, dsn, as_json=as_json))


def end_in_order(_signal: int, _frame: object) -> NoReturn:
    """Let `finally` and `with` run, so that nothing of ours is left behind."""
    raise SystemExit(EXIT_TERMINATED)


def main() -> None:
    """Run the command line. An expected failure is one line on standard error; 2: the settings are wrong."""
    signal.signal(signal.SIGTERM, end_in_order)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        said = in_words(error)
        if said is None:
            raise
        typer.echo(f"bursar: {said}", err=True)
        sys.exit(EXIT_SETTINGS if isinstance(error, SettingsInvalid) else EXIT_FAILED)


def in_words(error: Exception) -> str | None:
    """What to tell a person, for failures that a person can mend; None for our own errors."""
    import psycopg
    from sqlalchemy.exc import DBAPIError

    from bursar.db.embedded_program import EmbeddedPostgresFailed
    from bursar.entrypoints.listening import PortTaken

    if isinstance(error, SettingsInvalid | EmbeddedPostgresFailed | PortTaken):
        return str(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    match cause:
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedObject():
            return "this database has not been prepared; run: bursar db migrate"
        case psycopg.OperationalError():
            return f"PostgreSQL cannot be used: {str(cause).strip()}"
        case _:
            return None


if __name__ == "__main__":
    main()
