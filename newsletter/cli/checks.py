"""What `newsletter doctor` can see from here: settings, database, publications, sources.

Promise: a check changes nothing, finishes within seconds, and says in one line
what it found and, unless all is well, what to do.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from newsletter import articles, delivery, migrations, notices, publications, staff
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery import PaceState
from newsletter.kit import clock

LOCAL: Final = ("localhost", "127.0.0.1", "::1")
FAILURES_WORTH_TELLING: Final = 3


class Health(enum.StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"  # works, and somebody should look
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor: what was looked at, how it stands, what was found, what to do."""

    name: str
    health: Health
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, Health.OK, found)


def warn(name: str, found: str, advice: str) -> Check:
    """It works, and somebody should look."""
    return Check(name, Health.WARN, found, advice)


def fail(name: str, found: str, advice: str) -> Check:
    """It does not work."""
    return Check(name, Health.FAIL, found, advice)


def settings_checks(settings: Settings) -> Iterator[Check]:
    """Look at the settings themselves."""
    yield _data_dir(settings.data_dir)
    yield _secret_key(settings)
    yield _base_url(settings.base_url)


def database_checks(database: Database) -> Iterator[Check]:
    """Look at the database, and at what is in it if its tables are there."""
    try:
        with database.engine.connect() as connection:
            version = connection.execute(
                text("SELECT sqlite_version()" if database.dialect == "sqlite" else "SHOW server_version")
            ).scalar_one()
        yield ok("database", f"{database.dialect} {version}")
        state = migrations.state(database)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        yield fail("database", f"cannot be reached: {reason}", "check NEWSLETTER_DATABASE_URL and that the server runs")
        return
    if not state.up_to_date:
        stands = f"at revision {state.current}, {state.head} is needed" if state.current else "has no tables"
        yield fail("migrations", stands, "run: newsletter migrate")
        return
    yield ok("migrations", f"at revision {state.head}")
    with database.read() as session:
        yield from _content_checks(session)


def _content_checks(session: Session) -> Iterator[Check]:
    found = publications.listing(session)
    if not found:
        yield warn("publications", "there is none yet", "make one: newsletter publication create")
    for one in found:
        if one.postal_address.strip():
            yield ok(f"publication {one.slug}", "has a postal address")
        else:
            yield fail(
                f"publication {one.slug}",
                "has no postal address",
                "add it in the studio; the law wants it in every mail",
            )
    if not staff.count(session):
        yield warn("staff", "nobody can sign in", "make an administrator: newsletter staff create EMAIL --role admin")
    waiting = notices.backlog(session)
    if waiting.reason:
        yield warn(
            "notices",
            f"{waiting.waiting} wait: {waiting.reason}",
            "mend what they wait for; then they go by themselves",
        )
    yield from _pace_checks(session)
    for source in articles.sources(session, None):
        if source.failures >= FAILURES_WORTH_TELLING:
            yield warn(f"source {source.id}", f"{source.url}: {source.problem}", "check the feed's address")


def _pace_checks(session: Session) -> Iterator[Check]:
    for row in delivery.every_pace(session):
        state = row.standing(clock.now())
        if state is PaceState.PAUSED:
            advice = f"mend what it names, then: newsletter pace resume {row.name}"
            yield warn(f"pace {row.name}", f"paused, we are refused: {row.reason}", advice)
        elif state is PaceState.SLOWED:
            yield warn(f"pace {row.name}", f"slowed: {row.reason}", "nothing; it gets faster by itself")


def _data_dir(folder: Path) -> Check:
    if not folder.is_dir():
        return warn("data folder", f"{folder.resolve()} is not there yet", "newsletter run or migrate will make it")
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail("data folder", f"{folder.resolve()} cannot be written", "give it to the user that runs newsletter")
    return ok("data folder", str(folder.resolve()))


def _secret_key(settings: Settings) -> Check:
    if settings.secret_key:
        return ok("secret key", "set by NEWSLETTER_SECRET_KEY")
    where = f"generated, kept in {settings.data_dir.resolve() / 'secret_key'}"
    if settings.database.startswith("sqlite"):
        return ok("secret key", f"{where}; it belongs into the backup")
    return warn("secret key", where, "set NEWSLETTER_SECRET_KEY, the same on every machine, or links will not open")


def _base_url(base_url: str) -> Check:
    parts = urlsplit(base_url)
    if parts.hostname in LOCAL:
        return warn("base URL", f"{base_url} works on this machine only", "set NEWSLETTER_BASE_URL before you send")
    if parts.scheme != "https":
        return fail("base URL", f"{base_url} is not https", "mailbox providers want https; set NEWSLETTER_BASE_URL")
    return ok("base URL", base_url)
