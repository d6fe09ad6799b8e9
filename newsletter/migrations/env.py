"""Alembic's environment: how a migration meets the connection it was given.

Promise: every pending revision runs in the one transaction that
``newsletter.migrations.upgrading`` has opened: all of them happen or none. It opens
no connection of its own and there is no offline mode.
"""

from __future__ import annotations

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Enum

from newsletter.db import UtcDateTime
from newsletter.migrations.tables import metadata

BATCH = "render_as_batch"  # SQLite alters a table by copying it; the first revision has nothing to copy


def _render(kind: str, item: object, autogen: AutogenContext) -> str | Literal[False]:
    """Write our column types as plain ones, so that a revision never depends on the program's later code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=context.config.attributes.get(BATCH, True),
    render_item=_render,
)
context.run_migrations()
