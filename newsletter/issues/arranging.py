"""What stands where: placing, removing and moving stories and sections.

Promise: positions within a section, and of sections within an issue, are 0, 1,
2 … without gaps after every call; an article stands in an issue at most once; at
most one story leads. Each call is one change of content (see ``editing``) and
returns the issue as it is afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from newsletter import articles
from newsletter.errors import Conflict, Invalid, NotFound, Refused
from newsletter.issues.editing import locked, mark_changed, placement_of
from newsletter.issues.models import PassedOver, Placement, Section
from newsletter.issues.queries import get
from newsletter.issues.views import IssueView
from newsletter.publications import checks

MAX_SECTIONS = 40


def place(session: Session, issue_id: int, article_id: int, section_id: int, position: int | None = None) -> IssueView:
    """Put an article into a section, before the story at ``position`` or at the end."""
    issue = locked(session, issue_id)
    section = _section(session, issue_id, section_id)
    article = articles.view(session, [article_id]).get(article_id)
    if article is None or article.publication_id != issue.publication_id:
        raise NotFound(f"This newsletter has no article with the id {article_id}.")
    if session.scalar(select(Placement.id).where(Placement.issue_id == issue_id, Placement.article_id == article_id)):
        raise Conflict(f"“{article.headline}” is in No. {issue.number} already; move it instead.")
    session.execute(delete(PassedOver).where(PassedOver.issue_id == issue_id, PassedOver.article_id == article_id))
    stories = _stories(session, section.id)
    placement = Placement(issue_id=issue_id, section_id=section.id, article_id=article_id, position=len(stories))
    session.add(placement)
    _insert(stories, placement, position)
    mark_changed(session, issue)
    return get(session, issue_id)


def remove(session: Session, issue_id: int, placement_id: int, *, keep_for_next: bool = False) -> IssueView:
    """Take a story out; it stays in the pool, and with ``keep_for_next`` the next draft takes it up by itself."""
    issue = locked(session, issue_id)
    placement = placement_of(session, issue_id, placement_id)
    stories = [story for story in _stories(session, placement.section_id) if story is not placement]
    session.delete(placement)
    _renumber(stories)
    if not keep_for_next:
        session.add(PassedOver(issue_id=issue_id, article_id=placement.article_id, reason="an editor took it out."))
    if placement.lead:
        issue.lead_reason = ""
    mark_changed(session, issue)
    return get(session, issue_id)


def move(
    session: Session, issue_id: int, placement_id: int, *, section_id: int | None = None, position: int | None = None
) -> IssueView:
    """Move a story to ``position`` (0 is first; none is last) of a section, by default of its own."""
    issue = locked(session, issue_id)
    placement = placement_of(session, issue_id, placement_id)
    target = _section(session, issue_id, placement.section_id if section_id is None else section_id)
    before = (placement.section_id, placement.position)
    if placement.section_id != target.id:
        _renumber([story for story in _stories(session, placement.section_id) if story is not placement])
    stories = [story for story in _stories(session, target.id) if story is not placement]
    placement.section_id = target.id
    _insert(stories, placement, position)
    if (placement.section_id, placement.position) != before:
        mark_changed(session, issue)
    return get(session, issue_id)


def make_lead(session: Session, issue_id: int, placement_id: int) -> IssueView:
    """Make a story the lead; the former lead stays where it stands as a story like the others."""
    issue = locked(session, issue_id)
    placement = placement_of(session, issue_id, placement_id)
    if not placement.lead:
        session.execute(update(Placement).where(Placement.issue_id == issue_id, Placement.lead).values(lead=False))
        placement.lead = True
        issue.lead_reason = ""
        mark_changed(session, issue)
    return get(session, issue_id)


def add_section(session: Session, issue_id: int, name: str, position: int | None = None) -> IssueView:
    """Add an empty section before the one at ``position`` or at the end."""
    issue = locked(session, issue_id)
    sections = _sections(session, issue_id)
    if len(sections) >= MAX_SECTIONS:
        raise Refused(f"An issue has at most {MAX_SECTIONS} sections.")
    section = Section(issue_id=issue_id, position=len(sections), name=_name(name, sections))
    session.add(section)
    _insert(sections, section, position)
    mark_changed(session, issue)
    return get(session, issue_id)


def rename_section(session: Session, issue_id: int, section_id: int, name: str) -> IssueView:
    """Give a section another name, unlike the names of the others."""
    issue = locked(session, issue_id)
    section = _section(session, issue_id, section_id)
    value = _name(name, [other for other in _sections(session, issue_id) if other is not section])
    if section.name != value:
        section.name = value
        mark_changed(session, issue)
    return get(session, issue_id)


def move_section(session: Session, issue_id: int, section_id: int, position: int) -> IssueView:
    """Move a section with its stories; 0 is first."""
    issue = locked(session, issue_id)
    section = _section(session, issue_id, section_id)
    before = section.position
    _insert([other for other in _sections(session, issue_id) if other is not section], section, position)
    if section.position != before:
        mark_changed(session, issue)
    return get(session, issue_id)


def remove_section(session: Session, issue_id: int, section_id: int) -> IssueView:
    """Remove a section that is empty; stories are never dropped with it."""
    issue = locked(session, issue_id)
    section = _section(session, issue_id, section_id)
    if stories := _stories(session, section_id):
        raise Refused(f"“{section.name}” still holds {len(stories)} stories; move them or take them out first.")
    _renumber([other for other in _sections(session, issue_id) if other is not section])
    session.delete(section)
    mark_changed(session, issue)
    return get(session, issue_id)


def _section(session: Session, issue_id: int, section_id: int) -> Section:
    section = session.scalar(select(Section).where(Section.id == section_id, Section.issue_id == issue_id))
    if section is None:
        raise NotFound("This section is no longer in the issue.")
    return section


def _sections(session: Session, issue_id: int) -> list[Section]:
    statement = select(Section).where(Section.issue_id == issue_id).order_by(Section.position, Section.id)
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def _stories(session: Session, section_id: int) -> list[Placement]:
    statement = select(Placement).where(Placement.section_id == section_id).order_by(Placement.position, Placement.id)
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def _insert(rows: list[Placement] | list[Section], row: Placement | Section, position: int | None) -> None:
    if position is not None and position < 0:
        raise Invalid("A position counts from 0.", field="position")
    at = len(rows) if position is None else position
    _renumber([*rows[:at], row, *rows[at:]])


def _renumber(rows: Sequence[Placement | Section]) -> None:
    for position, row in enumerate(rows):
        row.position = position


def _name(name: str, others: Sequence[Section]) -> str:
    value = checks.line(name, "section", limit=checks.MAX_NAME, needed=True)
    if any(other.name.casefold() == value.casefold() for other in others):
        raise Conflict(f"There is a section “{value}” already.")
    return value
