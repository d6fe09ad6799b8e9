"""The draft: its stories by section, its words, what preflight says, and the mail beside it.

Promise: a refused or stale save answers with the same page, the typed text where
it was typed and what is stored beside it. What the preview shows is decoded from
the very bytes that would be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session
from starlette.responses import Response

from newsletter import articles, delivery, editions, issues, publications
from newsletter.errors import Conflict, UserError
from newsletter.issues import IssueView, Stale
from newsletter.issues.states import EDITABLE
from newsletter.staff.models import Role
from newsletter.web.access import Editor, Viewer
from newsletter.web.editor import previewing
from newsletter.web.forms import Fields
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

TRAY: Final = 12

routes = Pages()


@dataclass(frozen=True, slots=True)
class Unsaved:
    """What a person typed and could not save: into which form, and why not."""

    form: str  # "words", or "story-<placement id>"
    fields: Fields
    message: str
    field: str
    stale: bool


def unsaved(form: str, fields: Fields, error: UserError) -> Unsaved:
    """Keep the text of a form that was refused."""
    return Unsaved(form, fields, error.message, getattr(error, "field", None) or "", isinstance(error, Stale))


@routes.shows("/studio/issues/{issue_id:int}")
def composer(visit: Viewer, issue_id: int) -> Response:
    """Show the draft."""
    return show(visit, issue_id)


def show(visit: Visit, issue_id: int, *, status: int = 200, kept: Unsaved | None = None) -> Response:
    """Answer with the draft's page."""
    with visit.reading() as session:
        issue = issues.get(session, issue_id)
        publication = publications.by_id(session, issue.publication_id)
        open_still = issue.state in EDITABLE
        editable = open_still and visit.may(Role.WRITER)
        return visit.page(
            "editor/composer.html",
            status=status,
            issue=issue,
            publication=publication,
            editable=editable,
            kept=kept,
            findings=editions.preflight(session, issue_id, visit.site.settings) if open_still else None,
            tray=_tray(session, issue) if editable else None,
            sends=delivery.sends_of(session, issue_id),
        )


@routes.does("/studio/issues/{issue_id:int}/approve")
def approve(visit: Editor, issue_id: int) -> Response:
    """Approve what the editor was looking at."""
    with visit.writing() as session:
        seen = visit.fields.whole("version")
        if issues.get(session, issue_id).version != seen:
            raise Conflict("The issue has changed since you opened it; look at it again before you approve.")
        issue = issues.approve(session, issue_id, by=visit.person.email)
        visit.audit(session, "approved", f"issue:{issue_id}", {"version": issue.version, "hash": issue.approved_hash})
    return visit.redirect(f"/studio/issues/{issue_id}", said=f"No. {issue.number} is approved.")


@routes.does("/studio/issues/{issue_id:int}/unapprove")
def unapprove(visit: Editor, issue_id: int) -> Response:
    """Take the approval back."""
    with visit.writing() as session:
        issue = issues.unapprove(session, issue_id)
        visit.audit(session, "took the approval back", f"issue:{issue_id}")
    return visit.redirect(f"/studio/issues/{issue_id}", said=f"No. {issue.number} is a draft again.")


@routes.shows("/studio/issues/{issue_id:int}/preview")
def preview(visit: Viewer, issue_id: int) -> Response:
    """Show the mail itself, for the frame beside the draft."""
    part: previewing.Part = "text" if visit.query.text("part") == "text" else "html"
    with visit.reading() as session:
        return previewing.frame(visit.site, session, issue_id, part)


def _tray(session: Session, issue: IssueView) -> object:
    used = issues.articles_used(session, issue.publication_id)
    return articles.pool(session, issue.publication_id, exclude_ids=used, limit=TRAY)
