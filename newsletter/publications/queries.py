"""SELECTs of the publications room.

Promise: reads only. A publication that does not exist is ``NotFound``, and the
message says which do.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.errors import NotFound
from newsletter.publications.models import BlueprintSection, Publication


def get(session: Session, slug: str) -> Publication:
    """Return the publication with this slug or raise ``NotFound``, listing the slugs there are."""
    found = session.scalar(select(Publication).where(Publication.slug == slug))
    if found is None:
        known = ", ".join(publication.slug for publication in listing(session))
        hint = f"there is: {known}." if known else "there is none yet; make one with: newsletter publication create."
        raise NotFound(f"There is no publication “{slug}”; {hint}")
    return found


def by_id(session: Session, publication_id: int, *, lock: bool = False) -> Publication:
    """Return a publication by its id.

    ``lock`` keeps every other transaction that asks for the lock waiting until
    this one ends (on SQLite a writing transaction is alone in any case).
    """
    statement = select(Publication).where(Publication.id == publication_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    found = session.scalar(statement)
    if found is None:
        raise NotFound(f"There is no publication with the id {publication_id}.")
    return found


def listing(session: Session) -> list[Publication]:
    """Return all publications by name."""
    return list(session.scalars(select(Publication).order_by(Publication.name, Publication.id)))


def blueprint(session: Session, publication_id: int) -> list[BlueprintSection]:
    """Return the sections that an issue of this publication starts with, in order."""
    statement = (
        select(BlueprintSection)
        .where(BlueprintSection.publication_id == publication_id)
        .order_by(BlueprintSection.position, BlueprintSection.id)
    )
    return list(session.scalars(statement))
