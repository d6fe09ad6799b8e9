"""What a measurement needs around it: a scratch database, a far end that discards, an issue and its readers.

Promise: nothing of it is left afterwards. The publication, the round-up of about
20 kB with 25 tracked links and personal fields, the readers and the freeze are
made by the rooms themselves.
"""

from __future__ import annotations

import datetime as dt
import io
import multiprocessing as mp
import secrets
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import create_engine, make_url, text

from newsletter import audience, delivery, issues, publications
from newsletter.articles.models import Article
from newsletter.cli.output import progress, say
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.kit import clock, smtpd
from newsletter.migrations.tables import metadata

STORIES: Final = 5
NAMES: Final = ("Ana", "Benjamin", "Chloé", "Dmitri", "Elif", "Farah", "Giulia", "Hàn", "Inês", "Johannes", "Kwame")
NOTE: Final = """Dear {{ first_name | default("reader") }},

this round-up exists to be measured. The archive is at https://example.org/archive, the calendar at \
https://example.org/events, the podcast at https://example.org/podcast, and the house rules at https://example.org/rules.

Write to us at https://example.org/letters; we answer, {{ first_name | default("dear reader") }}."""
DEK: Final = (
    "What happened, who decided it, and what the people who live there say about it now. A report in two parts, "
    "with a map of the roads that were closed and a table of who paid for them."
)


@contextmanager
def scratch(server: str) -> Iterator[tuple[str, Path]]:
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
def relay(transport: str, connections: int, reply_delay: float) -> Iterator[str]:
    """Yield the relay's address; if none is given, start a process that discards, ``reply_delay`` seconds away."""
    if transport:
        joint = "&" if "?" in transport else "?"
        yield transport if "connections=" in transport else f"{transport}{joint}connections={connections}"
        return
    spawn = mp.get_context("spawn")
    ours, theirs = spawn.Pipe()
    sink = spawn.Process(target=_discard, args=(theirs, reply_delay), daemon=True)
    sink.start()
    try:
        yield f"smtp://127.0.0.1:{ours.recv()}?connections={connections}&messages=1000000"
    finally:
        ours.send("stop")
        sink.join()


class _Discarding(smtpd.Handler):
    """Accepts everything and reads it away, as late as a distant server would."""

    keeps_body = False

    def __init__(self, reply_delay: float) -> None:
        self.accepted: smtpd.Reply = "250 2.0.0 Ok: queued"
        if reply_delay:
            self.accepted = smtpd.Answer(self.accepted, delay=reply_delay)

    def data(self, session: smtpd.Session, envelope: smtpd.Envelope, message: bytes) -> smtpd.Reply:  # noqa: ARG002 - the handler's signature
        return self.accepted


def _discard(told: Connection, reply_delay: float) -> None:
    """Be the far end, until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with smtpd.Server(_Discarding(reply_delay)) as server:
        told.send(server.port)
        told.recv()


def dkim_key() -> str:
    """Return a new RSA key of 2,048 bits, as the settings take it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def prepare(database: Database, settings: Settings, recipients: int) -> tuple[int, float]:
    """Make the publication, its issue and its readers, and freeze the send; return its id, and the freeze's seconds."""
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
    frozen = time.perf_counter() - began
    say(f"the audience is frozen in {frozen:.2f} s; sending …")
    return send_id, frozen


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
