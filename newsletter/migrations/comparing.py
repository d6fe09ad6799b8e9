"""Whether the tables are what the models say, for tests and developers.

Promise: reads only. It sees tables, columns, types, keys and indexes, and not
PostgreSQL's storage options.
"""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from newsletter.db import Database
from newsletter.migrations.tables import metadata


def differences(database: Database) -> list[str]:
    """Return how the tables differ from the models, one line each; empty when they agree."""
    with database.engine.connect() as connection:
        return [str(difference) for difference in compare_metadata(MigrationContext.configure(connection), metadata)]
