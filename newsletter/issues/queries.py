"""SELECTs of the issues room, resolved into views.

Promise: reads only; a fixed number of statements however many stories an issue
has. An issue that does not exist is ``NotFound``.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from newsletter import articles
from newsletter.errors import NotFound
from newsletter.issues.models import Issue, IssueState, PassedOver, Placement, Section
from newsletter.issues.views import IssueRow, IssueView, PlacementView, SectionView
from newsletter.kit.paging import PAGE, Page, cut


def get(session: Session, issue_id: int) -> IssueView:
    """Return the issue as it stands now."""
    issue = session.scalar(select(Issue).where(Issue.id == issue_id).execution_options(populate_existing=True))
    if issue is None:
        raise NotFound(f"There is no issue with the id {issue_id}.")
    return IssueView(
        id=issue.id,
        publication_id=issue.publication_id,
        number=issue.number,
        date=dt.date.fromisoformat(issue.date),
        title=issue.title,
        subject=issue.subject,
        preheader=issue.preheader,
        note=issue.note,
        state=issue.state,
        version=issue.version,
        cutoff_at=issue.cutoff_at,
        approved_by=issue.approved_by,
        approved_at=issue.approved_at,
        approved_hash=issue.approved_hash,
        touched=issue.touched_at is not None,
        lead_reason=issue.lead_reason,
        sections=_sections(session, issue_id),
    )


def listing(
    session: Session, publication_id: int | None = None, after: int | None = None, limit: int = PAGE
) -> Page[IssueRow]:
    """Return issues, newest first, of one publication or of all."""
    count = select(func.count()).where(Placement.issue_id == Issue.id).scalar_subquery()
    statement = select(Issue, count).order_by(Issue.id.desc()).limit(limit + 1)
    if publication_id is not None:
        statement = statement.where(Issue.publication_id == publication_id)
    if after is not None:
        statement = statement.where(Issue.id < after)
    rows = [
        IssueRow(
            id=issue.id,
            publication_id=issue.publication_id,
            number=issue.number,
            date=dt.date.fromisoformat(issue.date),
            title=issue.title,
            subject=issue.subject,
            state=issue.state,
            story_count=stories,
            updated_at=issue.updated_at,
        )
        for issue, stories in session.execute(statement)
    ]
    return cut(rows, limit, lambda row: row.id)


def articles_used(session: Session, publication_id: int) -> set[int]:
    """Return the ids of the articles that stand in an issue of this publication that was not cancelled."""
    return set(session.scalars(_standing(select(Placement.article_id), Placement.issue_id, publication_id)))


def considered(session: Session, publication_id: int, *, but_for: int | None = None) -> set[int]:
    """Return the ids of the articles that standing issues used or passed over, but for one issue's."""
    used = _standing(select(Placement.article_id), Placement.issue_id, publication_id)
    passed = _standing(select(PassedOver.article_id), PassedOver.issue_id, publication_id)
    if but_for is not None:
        used, passed = used.where(Issue.id != but_for), passed.where(Issue.id != but_for)
    return {*session.scalars(used), *session.scalars(passed)}


def _standing(
    statement: Select[tuple[int]], issue_id: InstrumentedAttribute[int], publication_id: int
) -> Select[tuple[int]]:
    """Keep the rows of issues that count: a cancelled issue gives its stories back."""
    return statement.join(Issue, Issue.id == issue_id).where(
        Issue.publication_id == publication_id, Issue.state != IssueState.CANCELLED
    )


def why_not(session: Session, article_id: int) -> str:
    """Say in one sentence where the issues stand with an article: in which it is, or why it was left out."""
    placed = session.execute(
        select(Issue.number, Section.name)
        .select_from(Placement)
        .join(Issue, Issue.id == Placement.issue_id)
        .join(Section, Section.id == Placement.section_id)
        .where(Placement.article_id == article_id, Issue.state != IssueState.CANCELLED)
        .order_by(Issue.id.desc())
    ).first()
    if placed is not None:
        return f"It is in No. {placed.number}, under “{placed.name}”."
    passed = session.execute(
        select(Issue.number, PassedOver.reason)
        .join(Issue, Issue.id == PassedOver.issue_id)
        .where(PassedOver.article_id == article_id, Issue.state != IssueState.CANCELLED)
        .order_by(Issue.id.desc())
    ).first()
    if passed is not None:
        return f"No. {passed.number} left it out: {passed.reason}"
    return "No draft has considered it yet."


def _sections(session: Session, issue_id: int) -> tuple[SectionView, ...]:
    sections = session.scalars(
        select(Section).where(Section.issue_id == issue_id).order_by(Section.position, Section.id)
    ).all()
    placements = session.scalars(
        select(Placement)
        .where(Placement.issue_id == issue_id)
        .order_by(Placement.position, Placement.id)
        .execution_options(populate_existing=True)
    ).all()
    known = articles.view(session, [placement.article_id for placement in placements])
    placed: defaultdict[int, list[PlacementView]] = defaultdict(list)
    for placement in placements:
        placed[placement.section_id].append(_placement(placement, known[placement.article_id]))
    return tuple(SectionView(section.id, section.name, tuple(placed[section.id])) for section in sections)


def _placement(placement: Placement, article: articles.ArticleView) -> PlacementView:
    return PlacementView(
        id=placement.id,
        article_id=article.id,
        lead=placement.lead,
        headline=placement.headline or article.headline,
        dek=placement.dek or article.dek,
        kicker_kind=article.kicker_kind,
        kicker_region=article.kicker_region,
        byline=article.byline,
        published_at=article.published_at,
        url=article.canonical_url,
        image_url=article.image_url,
        image_alt=placement.image_alt or article.image_alt,
        image_alt_ok=bool(placement.image_alt) or article.image_alt_ok,
        image_caption=article.image_caption,
        image_credit=article.image_credit,
        image_width=article.image_width,
        image_height=article.image_height,
        show_image=placement.show_image,
        version=placement.version,
        original_headline=article.headline,
        original_dek=article.dek,
    )
