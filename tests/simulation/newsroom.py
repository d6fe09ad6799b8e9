"""A newsroom ready to send: two approved issues, a few readers; copied for every run of the simulation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from factories.audience import SECRET, many
from factories.issues import issue
from factories.publications import publication
from fixtures.databases import Databases
from simulation.clock import Clock
from sqlalchemy import insert, select

from newsletter import config
from newsletter.audience import Subscription
from newsletter.db import Database, now
from newsletter.delivery.models import SenderProcess

READERS = 5
ISSUES = 2
_pids = itertools.count(1)


@dataclass(frozen=True)
class Newsroom:
    """The database that is copied, and what stands in it."""

    databases: Databases
    url: str
    publication: int
    issues: list[int]
    readers: list[int]


def newsroom(databases: Databases) -> Newsroom:
    """Make the database from which every run begins."""
    url = databases.fresh_url()
    database = Database(url)
    Clock.prepare(database)
    with database.transaction() as session:
        made = publication(session)
        approved = [issue(session, made, stories=1, approved=True).id for _ in range(ISSUES)]
    many(database, READERS, made.id)
    with database.read() as session:
        readers = list(session.scalars(select(Subscription.subscriber_id).order_by(Subscription.subscriber_id)))
    database.dispose()
    return Newsroom(databases, url, made.id, approved, readers)


def settings(folder: Path) -> config.Settings:
    """Settings with a relay that nobody connects to."""
    return config.load(
        data_dir=folder, secret_key=SECRET.decode(), base_url="http://news.example.test", smtp_url="smtp://127.0.0.1:1"
    )


def enlist(database: Database) -> int:
    """Enter a sending process of another machine among the owners."""
    with database.transaction() as session:
        row = {"host": "elsewhere", "pid": next(_pids), "started_at": now(), "seen_at": now()}
        return session.scalars(insert(SenderProcess).values(row).returning(SenderProcess.id)).one()
