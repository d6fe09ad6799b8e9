"""Where the desk begins: all issues, all newsletters, the trail of who did what."""

from __future__ import annotations

from starlette.responses import Response

from newsletter import audience, issues, publications, staff
from newsletter.web.access import Editor, Viewer
from newsletter.web.routing import Pages

routes = Pages()


@routes.shows("/studio")
def all_issues(visit: Viewer) -> Response:
    """List issues of every newsletter, newest first."""
    with visit.reading() as session:
        titles = publications.listing(session)
        page = issues.listing(session, after=visit.query.whole_or_none("after"))
    return visit.page("editor/issues.html", titles=titles, by_id={title.id: title for title in titles}, page=page)


@routes.shows("/studio/newsletters")
def newsletters(visit: Viewer) -> Response:
    """List the newsletters with their readers."""
    with visit.reading() as session:
        titles = publications.listing(session)
        counts = {title.id: audience.counts(session, title.id) for title in titles}
    return visit.page("editor/newsletters.html", titles=titles, counts=counts)


@routes.shows("/studio/trail")
def trail(visit: Editor) -> Response:
    """List what people did, newest first; of everything, or of one subject such as ``issue:12``."""
    subject = visit.query.text("subject")
    with visit.reading() as session:
        page = staff.audit_trail(session, subject or None, visit.query.whole_or_none("after"))
    return visit.page("editor/trail.html", page=page, subject=subject)
