"""The draft that assembles itself from the pool.

Promise: a draft takes what no standing issue has used or passed over and what
was first seen up to now, whatever the calendar says; so nothing is repeated and
nothing is lost between two issues, and every article it leaves out is kept with
the reason. Until a person touches it, drafting again adds what is new; after
that a draft is left alone and ``waiting`` tells how much has come since. With
nothing new there is no empty issue: ``Refused`` says since when and which
sources failed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from newsletter import articles, publications
from newsletter.errors import Refused
from newsletter.issues.choosing import Plan, plan, preheader_from, subject_from
from newsletter.issues.models import Issue, IssueState, PassedOver, Placement, Section
from newsletter.issues.queries import considered, get
from newsletter.issues.views import IssueView
from newsletter.kit import clock
from newsletter.kit.paging import MAX_PAGE
from newsletter.publications import Publication, SectionRule


def draft(session: Session, publication_id: int, *, now: dt.datetime | None = None) -> IssueView:
    """Return the open draft, filled with what is new, or make the next issue.

    Two callers at once make one issue: the publication's row is locked.
    """
    now = now or clock.now()
    publication = publications.by_id(session, publication_id, lock=True)
    _refuse_while_missed(session, publication)
    open_draft = _latest(session, publication_id, IssueState.DRAFT)
    if open_draft is not None and open_draft.touched_at is not None:
        return get(session, open_draft.id)
    offered = _offered(session, publication_id, now, open_draft)
    if open_draft is not None and not offered.keys() - _considered_by(session, open_draft):
        return get(session, open_draft.id)
    planned = plan(_rules(session, publication_id), offered.values())
    if planned.lead_id is None:
        raise Refused(_nothing_new(session, publication, planned))
    if open_draft is None:
        open_draft = _new_issue(session, publication, now)
    else:
        open_draft.version += 1
    _write(session, open_draft, planned)
    _propose_words(open_draft, planned, offered)
    open_draft.cutoff_at = open_draft.updated_at = now
    session.flush()
    return get(session, open_draft.id)


def waiting(session: Session, publication_id: int, *, now: dt.datetime | None = None) -> int:
    """How many articles of the pool no standing issue has considered yet: what the next draft would look at."""
    return len(_offered(session, publication_id, now or clock.now(), None))


def _latest(session: Session, publication_id: int, state: IssueState) -> Issue | None:
    statement = select(Issue).where(Issue.publication_id == publication_id, Issue.state == state)
    return session.scalar(statement.order_by(Issue.id.desc()).limit(1).execution_options(populate_existing=True))


def _refuse_while_missed(session: Session, publication: Publication) -> None:
    """A missed issue holds its stories: send it or cancel it first, or they would be repeated or lost."""
    missed = _latest(session, publication.id, IssueState.MISSED)
    if missed is not None:
        message = f"No. {missed.number} of {publication.name} was missed and still waits: send it, or cancel it"
        raise Refused(f"{message} so that its stories go into the next issue.")


def _offered(
    session: Session, publication_id: int, now: dt.datetime, open_draft: Issue | None
) -> dict[int, articles.ArticleView]:
    """Articles of the pool, by id, that no standing issue, but for ``open_draft``, has used or passed over."""
    taken = considered(session, publication_id, but_for=open_draft.id if open_draft else None)
    offered: dict[int, articles.ArticleView] = {}
    after: int | None = None
    while True:
        page = articles.pool(session, publication_id, until=now, after=after, limit=MAX_PAGE)
        offered.update((article.id, article) for article in page.rows if article.id not in taken)
        after = page.next_after
        if after is None:
            return offered


def _considered_by(session: Session, issue: Issue) -> set[int]:
    return {
        *session.scalars(select(Placement.article_id).where(Placement.issue_id == issue.id)),
        *session.scalars(select(PassedOver.article_id).where(PassedOver.issue_id == issue.id)),
    }


def _rules(session: Session, publication_id: int) -> list[SectionRule]:
    return [
        SectionRule(section.name, tuple(section.takes), section.cap)
        for section in publications.blueprint(session, publication_id)
    ]


def _nothing_new(session: Session, publication: Publication, planned: Plan) -> str:
    """Say why there is no issue: what was last made, what failed, what no section takes."""
    if planned.left_out:
        stories, (_, reason) = len(planned.left_out), planned.left_out[0]
        return f"{stories} new {'story' if stories == 1 else 'stories'} for {publication.name}, but {reason}"
    sources = articles.sources(session, publication.id)
    if not sources:
        return f"{publication.name} has no source of stories yet; add one first."
    last = session.execute(
        select(Issue.number, Issue.date)
        .where(Issue.publication_id == publication.id, Issue.state != IssueState.CANCELLED)
        .order_by(Issue.id.desc())
    ).first()
    since = f"since No. {last.number} of {last.date}" if last else "yet"
    failing = [f"{source.url} ({source.problem.rstrip('.')})" for source in sources if source.problem]
    reason = f"; these could not be read: {', '.join(failing)}" if failing else ""
    return f"Nothing new for {publication.name} {since}{reason}. No issue was made."


def _new_issue(session: Session, publication: Publication, now: dt.datetime) -> Issue:
    number = publications.take_number(session, publication.id)
    issue = Issue(
        publication_id=publication.id,
        number=number,
        date=clock.local(now, publication.timezone).date().isoformat(),
        title=f"{publication.name} No. {number}",
        cutoff_at=now,
        created_at=now,
        updated_at=now,
    )
    session.add(issue)
    session.flush()
    return issue


def _propose_words(issue: Issue, planned: Plan, stories: dict[int, articles.ArticleView]) -> None:
    assert planned.lead_id is not None
    others = [stories[article] for _, section in planned.sections for article in section if article != planned.lead_id]
    issue.subject = subject_from(stories[planned.lead_id])
    issue.preheader = preheader_from(stories[planned.lead_id], others)
    issue.lead_reason = planned.lead_reason


def _write(session: Session, issue: Issue, planned: Plan) -> None:
    """Make the issue's rows equal to the plan."""
    session.execute(delete(PassedOver).where(PassedOver.issue_id == issue.id))
    passed_over = [{"issue_id": issue.id, "article_id": id_, "reason": reason} for id_, reason in planned.left_out]
    if passed_over:
        session.execute(insert(PassedOver), passed_over)
    sections = _sections(session, issue, [name for name, _ in planned.sections])
    placements = {
        placement.article_id: placement
        for placement in session.scalars(select(Placement).where(Placement.issue_id == issue.id))
    }
    for name, members in planned.sections:
        for position, article in enumerate(members):
            placement = placements.pop(article, None) or Placement(issue_id=issue.id, article_id=article)
            placement.section_id, placement.position = sections[name], position
            placement.lead = article == planned.lead_id
            session.add(placement)
    for dropped in placements.values():
        session.delete(dropped)


def _sections(session: Session, issue: Issue, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of the sections by name, making those that are missing and dropping the others."""
    known = {section.name: section for section in session.scalars(select(Section).where(Section.issue_id == issue.id))}
    for position, name in enumerate(names):
        section = known.setdefault(name, Section(issue_id=issue.id, name=name))
        section.position = position
        session.add(section)
    session.flush()
    obsolete = [section.id for name, section in known.items() if name not in names]
    ids = {name: known[name].id for name in names}
    if obsolete:
        session.execute(update(Placement).where(Placement.section_id.in_(obsolete)).values(section_id=ids[names[0]]))
        session.execute(delete(Section).where(Section.id.in_(obsolete)))
    return ids
