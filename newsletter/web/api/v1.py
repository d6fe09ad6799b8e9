"""Version 1 of the JSON interface: newsletters, issues, sends, reports, to be read.

Promise: read-only, for whoever has signed in to the studio; every list is a
keyset page with ``next_after``. Shapes are named here, not taken from the rooms,
so that a change inside does not change them. Errors are ``{"error": sentence}``.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from newsletter import delivery, issues, publications, reports
from newsletter.issues import IssueView, PlacementView
from newsletter.kit.paging import MAX_PAGE, PAGE
from newsletter.publications.models import Publication
from newsletter.web.access import Viewer
from newsletter.web.forms import ID

routes = APIRouter(prefix="/api/v1")

After = Annotated[int | None, Query(ge=0, le=ID, description="The `next_after` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


class PublicationOut(BaseModel):
    """A newsletter."""

    slug: str
    name: str
    tagline: str
    language: str
    timezone: str
    next_number: int

    @classmethod
    def of(cls, publication: Publication) -> PublicationOut:
        """Translate a row."""
        return cls(
            slug=publication.slug,
            name=publication.name,
            tagline=publication.tagline,
            language=publication.language,
            timezone=publication.timezone,
            next_number=publication.next_number,
        )


class IssueOut(BaseModel):
    """An issue in a list."""

    id: int
    number: int
    date: dt.date
    subject: str
    state: str
    stories: int


class IssuesOut(BaseModel):
    """A page of issues, newest first."""

    issues: list[IssueOut]
    next_after: int | None


class StoryOut(BaseModel):
    """A story as the issue prints it."""

    headline: str
    dek: str
    byline: str
    url: str
    lead: bool
    published_at: dt.datetime | None

    @classmethod
    def of(cls, placement: PlacementView) -> StoryOut:
        """Translate a placement."""
        return cls(
            headline=placement.headline,
            dek=placement.dek,
            byline=placement.byline,
            url=placement.url,
            lead=placement.lead,
            published_at=placement.published_at,
        )


class SectionOut(BaseModel):
    """A section with its stories in order."""

    name: str
    stories: list[StoryOut]


class WholeIssueOut(IssueOut):
    """An issue with everything in it."""

    title: str
    preheader: str
    note: str
    version: int
    approved_by: str
    approved_at: dt.datetime | None
    sections: list[SectionOut]

    @classmethod
    def of(cls, view: IssueView) -> WholeIssueOut:
        """Translate an issue."""
        return cls(
            id=view.id,
            number=view.number,
            date=view.date,
            subject=view.subject,
            state=view.state,
            stories=view.story_count,
            title=view.title,
            preheader=view.preheader,
            note=view.note,
            version=view.version,
            approved_by=view.approved_by,
            approved_at=view.approved_at,
            sections=[
                SectionOut(name=section.name, stories=[StoryOut.of(placement) for placement in section.placements])
                for section in view.sections
            ],
        )


@routes.get("/publications")
def list_publications(visit: Viewer) -> list[PublicationOut]:
    """List the newsletters by name."""
    with visit.reading() as session:
        return [PublicationOut.of(publication) for publication in publications.listing(session)]


@routes.get("/publications/{slug}")
def show_publication(visit: Viewer, slug: str) -> PublicationOut:
    """Show one newsletter."""
    with visit.reading() as session:
        return PublicationOut.of(publications.get(session, slug))


@routes.get("/publications/{slug}/issues")
def list_issues(visit: Viewer, slug: str, after: After = None, limit: Limit = PAGE) -> IssuesOut:
    """List a newsletter's issues, newest first."""
    with visit.reading() as session:
        page = issues.listing(session, publications.get(session, slug).id, after, limit)
    rows = [
        IssueOut(
            id=row.id,
            number=row.number,
            date=row.date,
            subject=row.subject,
            state=row.state,
            stories=row.story_count,
        )
        for row in page.rows
    ]
    return IssuesOut(issues=rows, next_after=page.next_after)


@routes.get("/issues/{issue_id}")
def show_issue(visit: Viewer, issue_id: int) -> WholeIssueOut:
    """Show one issue with its stories."""
    with visit.reading() as session:
        return WholeIssueOut.of(issues.get(session, issue_id))


@routes.get("/issues/{issue_id}/report")
def show_report(visit: Viewer, issue_id: int) -> dict[str, Any]:
    """Show what became of an issue: deliveries, bounces, opens, clicks, leavers."""
    with visit.reading() as session:
        return reports.issue_report(session, issue_id).as_json()


@routes.get("/sends/{send_id}")
def show_send(visit: Viewer, send_id: int) -> dict[str, Any]:
    """Show how many deliveries of a send are in each state; they add up to its audience."""
    with visit.reading() as session:
        return delivery.status(session, send_id).as_json()
