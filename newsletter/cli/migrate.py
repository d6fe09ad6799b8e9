"""`newsletter migrate`: brings the database to this version's tables.

Promise: every pending revision in one transaction, or none; on an empty database
it makes all tables; on a current one it changes nothing.
"""

from __future__ import annotations

import typer

from newsletter import migrations
from newsletter.cli.door import load
from newsletter.cli.output import Json, document, say
from newsletter.db import Database

app = typer.Typer()


@app.command()
def migrate(*, as_json: Json = False) -> None:
    """Bring the database to this version's tables."""
    database = Database.of(load())
    state = migrations.upgrade(database)
    if as_json:
        document({"before": state.current, "now": state.head})
    elif state.up_to_date:
        say(f"the database is at revision {state.head} already")
    else:
        say(f"the database is at revision {state.head} now (before: {state.current or 'empty'})")
