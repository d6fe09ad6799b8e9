"""Freezing: an issue as it stands becomes an edition that never changes.

Promise: freezing the same content again, by whomever and however often, gives
the same edition; changed content gives a new one and leaves the old as it is.
Only the targets of its links may be mended later.
"""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter import issues, publications
from newsletter.editions.compose import Composed, compose
from newsletter.editions.models import Edition, EditionLink
from newsletter.editions.queries import LoadedEdition, load
from newsletter.kit import clock

ALL = "all"  # the variant for everyone


def freeze(session: Session, issue_id: int, *, base_url: str) -> LoadedEdition:
    """Compose the issue and keep the result; ``Invalid`` if a merge tag or a link in it is wrong."""
    issue = issues.get(session, issue_id)
    composed = compose(issue, publications.by_id(session, issue.publication_id), base_url)
    return load(session, _kept(session, issue_id, composed))


def _kept(session: Session, issue_id: int, composed: Composed) -> int:
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    literals, slots = composed.compiled.to_columns()
    edition = dialect.insert(Edition).values(
        issue_id=issue_id,
        variant=ALL,
        content_hash=composed.content_hash(),
        subject=composed.subject,
        html=composed.html,
        text=composed.text,
        web_html=composed.web_html,
        literals=literals,
        slots=slots,
        html_bytes=composed.html_bytes,
        frozen_at=clock.now(),
    )
    # Two that freeze at once: the second finds the first's row instead of failing.
    found = edition.on_conflict_do_update(
        index_elements=["issue_id", "variant", "content_hash"], set_={"frozen_at": edition.excluded.frozen_at}
    )
    edition_id: int = session.scalars(found.returning(Edition.id)).one()
    rows = [
        {"edition_id": edition_id, "n": link.n, "url": link.url, "label": link.label, "article_id": link.article_id}
        for link in composed.links
    ]
    # A target that was mended since stays mended.
    session.execute(dialect.insert(EditionLink).on_conflict_do_nothing(), rows)
    return edition_id
