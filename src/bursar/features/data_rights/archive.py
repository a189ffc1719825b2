"""Writing an archive: a zip file of JSON and CSV, row by row, on disk and not in memory."""

import csv
import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import IO, Any, Final

import orjson
import sqlalchemy as sa

from bursar.db.engine import ReadSession
from bursar.features.data_rights.contents import File
from bursar.rest.csv_cells import cell

ROWS_PER_PAGE: Final = 500
ARCHIVE_BYTES_MAX: Final = 512 * 1024 * 1024
"""What the database is willing to keep for some days; some ten million rows of usage."""

NOTHING_ELSE: Final = "Secrets are not in here: of keys and credentials only their visible characters."


class ArchiveTooLarge(Exception):
    """There is more than one archive may hold."""


async def write(out: IO[bytes], read: ReadSession, files: Sequence[File], *, made_at: datetime) -> None:
    """Write every file, and a manifest with the number of rows of each.

    Raises:
        ArchiveTooLarge.
    """
    numbers = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as bundle:
        for file in files:
            await _member(bundle, out, f"{file.name}.csv", read, file.question, _CsvRows())
            numbers[file.name] = await _member(
                bundle, out, f"{file.name}.json", read, file.question, _JsonRows()
            )
        manifest = {"made_at": made_at, "rows": numbers, "note": NOTHING_ELSE}
        bundle.writestr("manifest.json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))


class _CsvRows:
    def begin(self, names: Sequence[str]) -> bytes:
        return (",".join(names) + "\r\n").encode()

    def page(self, rows: Sequence[sa.RowMapping]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out)
        for row in rows:
            writer.writerow(cell(_flat(value)) for value in row.values())
        return out.getvalue().encode()

    def end(self) -> bytes:
        return b""


class _JsonRows:
    def __init__(self) -> None:
        self._between = b""

    def begin(self, _names: Sequence[str]) -> bytes:
        return b"[\n"

    def page(self, rows: Sequence[sa.RowMapping]) -> bytes:
        written = b",\n".join(_dumped({str(name): value for name, value in row.items()}) for row in rows)
        page, self._between = self._between + written, b",\n"
        return page

    def end(self) -> bytes:
        return b"\n]\n"


async def _member(  # noqa: PLR0913, PLR0917 - one file of the archive
    bundle: zipfile.ZipFile,
    out: IO[bytes],
    name: str,
    read: ReadSession,
    question: sa.Select[Any],
    rows: _CsvRows | _JsonRows,
) -> int:
    number = 0
    with bundle.open(name, "w", force_zip64=True) as member:
        member.write(rows.begin([column.name for column in question.selected_columns]))
        async for page in _pages(read, question):
            member.write(rows.page(page))
            number += len(page)
            if out.tell() > ARCHIVE_BYTES_MAX:
                raise ArchiveTooLarge
        member.write(rows.end())
    return number


async def _pages(read: ReadSession, question: sa.Select[Any]) -> AsyncIterator[Sequence[sa.RowMapping]]:
    """By a cursor of the database: all pages see the same moment."""
    result = await read.stream(question, execution_options={"yield_per": ROWS_PER_PAGE})
    async for page in result.mappings().partitions(ROWS_PER_PAGE):
        yield page


def _flat(value: object) -> object:
    return _dumped(value).decode() if isinstance(value, dict | list) else value


def _dumped(value: Any) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z)
