"""How a command comes in: settings, logging, database, hints to the workers.

Promise: ``entered`` gives a ``Door`` only when the settings are right and the
database is at this version's revision (else one line says what to do), and closes
everything when the command is done. It never makes a database: a wrong DATA_DIR
is an error, not an empty newsroom.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from newsletter import config, migrations
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.errors import Refused
from newsletter.jobs import Waker
from newsletter.kit import logs

ACTOR: Final = "command line"  # in the audit trail, where nobody named a person


@dataclass(frozen=True, slots=True)
class Door:
    """What a command works with."""

    settings: Settings
    database: Database


def load() -> Settings:
    """Read the settings and set up logging for a short command: warnings only."""
    settings = config.load()
    logs.setup(settings.log_format, level=logging.WARNING)
    return settings


def ready() -> Settings:
    """Read the settings and check that their database is at this version's revision."""
    with entered() as door:
        return door.settings


@contextmanager
def entered() -> Iterator[Door]:
    """Yield the door of a command that needs the database."""
    settings = load()
    missing = missing_file(settings)
    if missing is not None:
        raise Refused(
            f"There is no database at {missing}: run “newsletter migrate” or “newsletter run” first, "
            "or point NEWSLETTER_DATA_DIR to the right folder."
        )
    database = Database.of(settings)
    try:
        migrations.require_current(database)
        with Waker(settings):
            yield Door(settings, database)
    finally:
        database.dispose()


def missing_file(settings: Settings) -> Path | None:
    """Return the SQLite file that does not exist yet, if that is the case."""
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    path = Path(url.database)
    return None if path.exists() else path
