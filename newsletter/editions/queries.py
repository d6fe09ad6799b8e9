"""SELECTs of the editions room.

Promise: reads only. An edition that does not exist is ``NotFound``.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.editions.compiled import Compiled
from newsletter.editions.links import Link
from newsletter.editions.models import Edition, EditionLink
from newsletter.errors import NotFound
from newsletter.issues import IssueState, IssueView
from newsletter.issues.models import Issue, Placement


@dataclass(frozen=True, slots=True)
class LoadedEdition:
    """A frozen edition, ready to be sent, shown or counted. ``html`` and ``text`` hold opaque marks."""

    id: int
    issue_id: int
    variant: str
    content_hash: str
    subject: str
    html: str
    text: str
    web_html: str
    html_bytes: int
    links: tuple[Link, ...]
    compiled: Compiled


def load(session: Session, edition_id: int) -> LoadedEdition:
    """Return an edition by its id."""
    edition = session.get(Edition, edition_id)
    if edition is None:
        raise NotFound(f"There is no edition with the id {edition_id}.")
    return _loaded(session, edition)


def latest(session: Session, issue_id: int) -> LoadedEdition | None:
    """Return the edition of an issue that was frozen last, or None while none was."""
    statement = (
        select(Edition).where(Edition.issue_id == issue_id).order_by(Edition.frozen_at.desc(), Edition.id.desc())
    )
    edition = session.scalars(statement.limit(1)).first()
    return _loaded(session, edition) if edition else None


def targets(session: Session, edition_id: int) -> dict[int, str]:
    """Return where each tracked link of an edition leads now, by its number."""
    statement = select(EditionLink.n, EditionLink.url).where(EditionLink.edition_id == edition_id)
    return dict(session.execute(statement).all())


def used_elsewhere(session: Session, issue: IssueView) -> dict[int, int]:
    """Return the stories of an issue that another issue has too: its number by the article's id."""
    statement = (
        select(Placement.article_id, Issue.number)
        .join(Issue, Issue.id == Placement.issue_id)
        .where(
            Issue.publication_id == issue.publication_id,
            Issue.id != issue.id,
            Issue.state != IssueState.CANCELLED,
            Placement.article_id.in_([placement.article_id for placement in issue.placements]),
        )
        .order_by(Issue.id)
    )
    return dict(session.execute(statement).all())


def _loaded(session: Session, edition: Edition) -> LoadedEdition:
    links = session.scalars(select(EditionLink).where(EditionLink.edition_id == edition.id).order_by(EditionLink.n))
    return LoadedEdition(
        id=edition.id,
        issue_id=edition.issue_id,
        variant=edition.variant,
        content_hash=edition.content_hash,
        subject=edition.subject,
        html=edition.html,
        text=edition.text,
        web_html=edition.web_html,
        html_bytes=edition.html_bytes,
        links=tuple(Link(link.n, link.url, link.label, link.article_id) for link in links),
        compiled=Compiled.from_columns(edition.literals, edition.slots),
    )
