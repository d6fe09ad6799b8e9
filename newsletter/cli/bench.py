"""`newsletter bench send`: how fast this machine sends, and how fast it could without a ledger.

Promise: the real rooms do the work, on a scratch database that is gone afterwards:
a publication, a round-up of about 20 kB with 25 tracked links and personal
fields, readers, the freeze, and as many sending processes as asked for. Then the
same processes push messages made beforehand through as many connections, without
a ledger: that is the limit. Without ``--transport`` the far end is a process of
ours that discards, and shares the processors with what is measured.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import multiprocessing as mp
import resource
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvloop
from sqlalchemy import create_engine, make_url, text

from newsletter import audience, config, delivery, issues, publications
from newsletter.articles.models import Article
from newsletter.cli.output import document, progress, say
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery.transports.smtp import Accepted, Channel, Relay
from newsletter.errors import Refused
from newsletter.kit import clock, smtpd
from newsletter.migrations.tables import metadata

CONNECTIONS: Final = 64
PREPARED: Final = 500  # different messages for the limit, sent again and again
STORIES: Final = 5
NAMES: Final = ("Ana", "Benjamin", "Chloé", "Dmitri", "Elif", "Farah", "Giulia", "Hàn", "Inês", "Johannes", "Kwame")
BASE_URL: Final = "https://news.example.org"
NOTE: Final = """Dear {{ first_name | default("reader") }},

this round-up exists to be measured. The archive is at https://example.org/archive, the calendar at \
https://example.org/events, the podcast at https://example.org/podcast, and the house rules at https://example.org/rules.

Write to us at https://example.org/letters; we answer, {{ first_name | default("dear reader") }}."""
DEK: Final = (
    "What happened, who decided it, and what the people who live there say about it now. A report in two parts, "
    "with a map of the roads that were closed and a table of who paid for them."
)

app = typer.Typer(no_args_is_help=True, help="Measure this machine.")


@app.callback()
def bench() -> None:
    """Hold the measurements together; each is a command."""


@app.command()
def send(
    *,
    recipients: Annotated[int, typer.Option(min=1, help="How many readers.")] = 25_000,
    transport: Annotated[str, typer.Option(help="A relay to send to; default: a process that discards.")] = "",
    database: Annotated[str, typer.Option(help="A PostgreSQL server to make a scratch database on.")] = "",
    connections: Annotated[int, typer.Option(min=1, help="Connections of each process to the relay.")] = CONNECTIONS,
    workers: Annotated[int, typer.Option(min=1, help="Sending processes.")] = 1,
) -> None:
    """Send an issue to made-up readers and print one JSON object with the figures."""
    document(measure(recipients, transport, database, connections, workers))


def measure(recipients: int, transport: str, database: str, connections: int, workers: int) -> dict[str, Any]:
    """Run the measurement and return the object that the command prints."""
    with _scratch(database) as (url, folder), _relay(transport, connections) as relay:
        settings = config.load(
            data_dir=folder, database_url=url, smtp_url=relay, base_url=BASE_URL, secret_key=secrets.token_hex(32)
        )
        opened = Database.of(settings)
        send_id = _prepare(opened, settings, recipients)
        sent = _together(workers, _send, settings)
        with opened.read() as session:
            status = delivery.status(session, send_id)
        opened.dispose()
        if status.accepted != recipients:
            raise Refused(f"Not everything was accepted, so there is no figure: {status.summary} {status.problem}")
        limit = _together(workers, _push, settings, send_id, recipients // workers)
    seconds = max(one.seconds for one in sent)
    cpu_seconds = sum(one.cpu_seconds for one in sent)
    limit_rate = (recipients // workers) * workers / max(one.seconds for one in limit)
    return {
        "recipients": recipients,
        "seconds": round(seconds, 3),
        "rate": round(recipients / seconds, 1),
        "cpu_seconds": round(cpu_seconds, 3),
        "rate_per_cpu_second": round(recipients / cpu_seconds, 1),
        "limit_rate": round(limit_rate, 1),
        "share_of_limit": round(recipients / seconds / limit_rate, 3),
        "peak_memory_mb": round(max(one.peak_memory_mb for one in sent), 1),
        "workers": workers,
        "database": make_url(settings.database).get_backend_name(),
    }


# -- the stage -----------------------------------------------------------------


@contextmanager
def _scratch(server: str) -> Iterator[tuple[str, Path]]:
    """Yield the address of an empty database and a folder; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as name:
        folder = Path(name)
        if not server:
            yield f"sqlite:///{folder / 'bench.db'}", folder
            return
        url = make_url(server).set(drivername="postgresql+psycopg")
        scratch = f"newsletter_bench_{secrets.token_hex(4)}"
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{scratch}"'))
        try:
            yield url.set(database=scratch).render_as_string(hide_password=False), folder
        finally:
            with engine.connect() as connection:
                connection.execute(text(f'DROP DATABASE "{scratch}" WITH (FORCE)'))
            engine.dispose()


@contextmanager
def _relay(transport: str, connections: int) -> Iterator[str]:
    """Yield the relay's address; start the discarding process if none is given."""
    if transport:
        joint = "&" if "?" in transport else "?"
        yield transport if "connections=" in transport else f"{transport}{joint}connections={connections}"
        return
    spawn = mp.get_context("spawn")
    ours, theirs = spawn.Pipe()
    sink = spawn.Process(target=_discard, args=(theirs,), daemon=True)
    sink.start()
    try:
        yield f"smtp://127.0.0.1:{ours.recv()}?connections={connections}&messages=1000000"
    finally:
        ours.send("stop")
        sink.join()


class _Discarding(smtpd.Handler):
    """Accepts everything and reads it away."""

    keeps_body = False


def _discard(told: Connection) -> None:
    """Be the far end, until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with smtpd.Server(_Discarding()) as server:
        told.send(server.port)
        told.recv()


def _prepare(database: Database, settings: Settings, recipients: int) -> int:
    """Make the publication, its issue and its readers, and freeze the send; return its id."""
    say(f"preparing {recipients} readers …")
    metadata.create_all(database.engine)
    with database.transaction() as session:
        publication = publications.create(
            session,
            slug="bench",
            name="The Bench Weekly",
            sender="The Bench Weekly <desk@example.org>",
            postal_address="1 Measure Street\nLisbon",
            timezone="UTC",
        )
        session.add_all(_article(publication.id, n) for n in range(STORIES))
        session.flush()
        draft = issues.draft(session, publication.id)
        subject = '{{ first_name | default("Reader") }}, your week'
        issues.edit(session, draft.id, version=draft.version, subject=subject, note=NOTE)
        issues.approve(session, draft.id, by="bench@example.org")
    rows = "".join(f"reader{n}@example{n % 97}.org,{NAMES[n % len(NAMES)]}\n" for n in range(recipients))
    file = io.BytesIO(f"email,first_name\n{rows}".encode())
    with progress("importing") as told:
        audience.import_csv(
            database,
            settings.secret,
            file,
            publication_id=publication.id,
            confirmed=True,
            consent_source="made up",
            progress=told,
        )
    with database.transaction() as session:
        send_id = delivery.start(session, draft.id, by="bench@example.org", settings=settings).send
    began = time.perf_counter()
    delivery.begin_due(database, settings)
    say(f"the audience is frozen in {time.perf_counter() - began:.2f} s; sending …")
    return send_id


def _article(publication_id: int, n: int) -> Article:
    seen = clock.now() - dt.timedelta(minutes=n)
    return Article(
        publication_id=publication_id,
        canonical_url=f"https://example.org/2026/11/a-story-with-a-usual-address-{n}",
        headline=f"The story that was number {n} and got a headline of usual length",
        headline_key=f"story {n}",
        dek=DEK,
        kicker_kind="Analysis",
        kicker_region="Europe",
        byline="Ines Duarte",
        published_at=seen,
        image_url=f"https://example.org/pictures/{n}.jpg" if n == 0 else "",
        image_alt="Container ships waiting at anchor" if n == 0 else "",
        image_alt_ok=n == 0,
        image_credit="Photo: Meridian" if n == 0 else "",
        image_width=1200 if n == 0 else None,
        image_height=675 if n == 0 else None,
        section="Reports",
        first_seen_at=seen,
    )


# -- the processes that are measured -------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took for its share: wall-clock and processor seconds, and its highest memory."""

    seconds: float
    cpu_seconds: float
    peak_memory_mb: float


Work = Callable[[], None]


def _together(workers: int, make: Callable[..., Work], settings: Settings, *more: int) -> list[Usage]:
    """Run the work that ``make`` prepares in so many processes, all starting at once."""
    spawn = mp.get_context("spawn")
    gate = spawn.Barrier(workers)
    results = spawn.SimpleQueue()
    arguments = (make, settings.model_dump(mode="json"), more, gate, results)
    processes = [spawn.Process(target=_measured, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise Refused("A sending process failed; what it said is above.")
    return [results.get() for _ in processes]


def _measured(
    make: Callable[..., Work],
    values: dict[str, Any],
    more: tuple[int, ...],
    gate: Any,  # noqa: ANN401 - made by a context of multiprocessing
    results: Any,  # noqa: ANN401 - likewise
) -> None:
    work = make(config.load(**values), *more)
    gate.wait()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    results.put(Usage(seconds, cpu_seconds, after.ru_maxrss / 1024))


def _send(settings: Settings) -> Work:
    """Prepare the real thing: claim, personalize, send, record."""
    database = Database.of(settings)
    with database.read() as session:
        delivery.senders(session)  # the connection is open before the clock starts

    def work() -> None:
        delivery.run(database, settings)

    return work


def _push(settings: Settings, send_id: int, count: int) -> Work:
    """Prepare the limit: finished messages through the same connections, and nothing recorded."""
    (relay,) = map(Relay.parse, settings.smtp_url)
    with Database.of(settings).read() as session:
        mails = delivery.first_mails(session, settings, send_id, PREPARED)

    async def line(left: Iterator[int]) -> None:
        channel = await Channel.open(relay)
        for n in left:
            mail = mails[n % len(mails)]
            outcome = await channel.deliver(mail.mail_from, mail.rcpt_to, mail.message)
            if not isinstance(outcome, Accepted):
                raise Refused(f"The relay did not accept a message: {outcome}")
        await channel.close()

    async def lines() -> None:
        left = iter(range(count))
        await asyncio.gather(*(line(left) for _ in range(relay.connections)))

    return lambda: uvloop.run(lines())
