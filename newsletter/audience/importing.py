"""Bringing readers in from a file.

Promise: every row of the file is accounted for in the report (added, updated,
unchanged, kept out, repeated or bad), a bad row stops nothing, and nobody who
left, bounced, complained or is suppressed comes back. Without ``confirmed`` the
new readers wait as pending and are not mailed; nothing here mails anybody. An
import that was cut short is finished by running it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, Final

from sqlalchemy import ColumnElement, Connection, func, select

from newsletter import publications
from newsletter.audience import csvfile, fields, importrows, staging
from newsletter.audience.models import SubscriptionStatus
from newsletter.db import Database
from newsletter.errors import Invalid
from newsletter.kit import clock

Progress = Callable[[int, int | None], None]

FORMATS: Final = ("auto", "csv")
WINDOW: Final = 10_000  # rows written in one transaction
MAX_BAD: Final = 1_000  # bad rows told one by one; all are counted
MAX_SOURCE: Final = 300


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be taken: its number as a spreadsheet counts, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file. ``rows`` is the sum of the six counts after it; ``pending`` is among ``added``."""

    rows: int
    added: int
    updated: int
    unchanged: int
    kept_out: int  # left, bounced, complained or suppressed
    repeated: int  # the same address further up in the file
    bad_count: int
    pending: int
    bad: tuple[BadRow, ...]  # the first thousand
    dry_run: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


@dataclass(slots=True)
class _Bad:
    """Bad rows, of which only so many are kept."""

    count: int = 0
    rows: list[BadRow] = field(default_factory=list)

    def add(self, number: int, reason: str) -> None:
        self.count += 1
        if len(self.rows) < MAX_BAD:
            self.rows.append(BadRow(number, reason))


def import_csv(
    database: Database,
    secret: bytes,
    file: BinaryIO,
    *,
    publication_id: int,
    confirmed: bool = False,
    consent_source: str = "",
    file_format: str = "auto",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import readers of one publication from a file opened for bytes.

    Opens transactions of its own, one for every 10,000 rows, on a connection of
    its own. ``progress`` is told (rows, ``None``) while the file is read and
    (rows, total) while they are written. ``Invalid`` if the file has no usable
    header, or if consent is claimed (``confirmed``) and not said from where.
    """
    if file_format not in FORMATS:
        message = f"Files of the format “{file_format}” cannot be imported yet; save the list as CSV."
        raise Invalid(message, field="format")
    consent_source = fields.line(consent_source, "consent_source", MAX_SOURCE)
    if confirmed and not consent_source:
        message = "Say where these readers gave their consent, such as: sign-up form of the old system, 2019 to 2026."
        raise Invalid(message, field="consent_source")
    with database.read() as session:
        publications.by_id(session, publication_id)
    purpose = staging.Purpose(publication_id, confirmed, consent_source, clock.now())
    bad, tell = _Bad(), progress or _silent
    rows = _rows(csvfile.read(file), secret, bad, tell, confirmed=confirmed)
    own = Database(database.url, pool_size=1)  # its temporary table goes with it
    try:
        with own.engine.connect() as connection:
            return _import(connection, rows, purpose, bad, tell, dry_run=dry_run)
    finally:
        own.dispose()


def _silent(_done: int, _total: int | None) -> None:
    pass


def _rows(
    records: Iterator[csvfile.Record], secret: bytes, bad: _Bad, tell: Progress, *, confirmed: bool
) -> Iterator[importrows.Row]:
    """Yield the good rows and keep the bad ones' reasons; raise ``Invalid`` at once for a file without a header."""
    header = next(records, None)
    if header is None:
        raise Invalid("The file is empty.", field="file")
    if header.cells and header.cells[0].startswith("PK\x03\x04"):
        raise Invalid("This is an Excel file or another ZIP archive; save the list as CSV first.", field="file")
    if header.problem:
        raise Invalid(f"The first row, which names the columns, cannot be read: {header.problem}", field="file")
    columns = importrows.layout(header.cells)

    def good() -> Iterator[importrows.Row]:
        for done, record in enumerate(records, start=1):
            if record.problem:
                bad.add(record.number, record.problem)
            else:
                try:
                    yield importrows.row(record.number, record.cells, columns, secret=secret, confirmed=confirmed)
                except Invalid as error:
                    bad.add(record.number, error.message)
            if done % WINDOW == 0:
                tell(done, None)

    return good()


def _import(
    connection: Connection,
    rows: Iterator[importrows.Row],
    purpose: staging.Purpose,
    bad: _Bad,
    tell: Progress,
    *,
    dry_run: bool,
) -> ImportReport:
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA temp_store = FILE")  # a million rows do not belong in memory
    with connection.begin():
        staging.load(connection, rows)
        repeated = staging.drop_repetitions(connection)
        if dry_run:
            staging.judge(connection, purpose)
    if not dry_run:
        _write(connection, purpose, tell)
    with connection.begin():
        return _report(staging.verdicts(connection), repeated, bad, dry_run=dry_run)


def _write(connection: Connection, purpose: staging.Purpose, tell: Progress) -> None:
    number = staging.staged.c.number
    with connection.begin():
        total = connection.scalar(select(func.count()).select_from(staging.staged)) or 0
    done, last = 0, 0
    writing = connection.execution_options(sqlite_begin="IMMEDIATE")
    while done < total:
        with writing.begin():
            following = select(number).where(number > last).order_by(number).limit(WINDOW)
            found = writing.scalars(following).all()
            window: tuple[ColumnElement[bool], ...] = (number > last, number <= found[-1])
            staging.write(writing, purpose, *window)
        done, last = done + len(found), found[-1]
        tell(done, total)


def _report(verdicts: dict[tuple[str, str], int], repeated: int, bad: _Bad, *, dry_run: bool) -> ImportReport:
    def count(*names: str) -> int:
        return sum(number for (verdict, _), number in verdicts.items() if verdict in names)

    return ImportReport(
        rows=sum(verdicts.values()) + repeated + bad.count,
        added=count(staging.ADDED),
        updated=count(staging.UPDATED, staging.ACTIVATED),
        unchanged=count(staging.UNCHANGED),
        kept_out=count(staging.KEPT_OUT),
        repeated=repeated,
        bad_count=bad.count,
        pending=verdicts.get((staging.ADDED, SubscriptionStatus.PENDING), 0),
        bad=tuple(bad.rows),
        dry_run=dry_run,
    )
