"""What became of an issue: the report as a page, with bars and the same figures in tables."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from newsletter import issues, publications, reports
from newsletter.web.access import Viewer
from newsletter.web.routing import Pages

SENDER_FAULTS: Final = ("block_auth", "block_reputation", "content")  # bounces that are not the readers' fault

routes = Pages()


@routes.shows("/studio/issues/{issue_id:int}/report")
def report(visit: Viewer, issue_id: int) -> Response:
    """Show the report of one issue."""
    with visit.reading() as session:
        issue = issues.get(session, issue_id)
        publication = publications.by_id(session, issue.publication_id)
        figures = reports.issue_report(session, issue_id)
    return visit.page(
        "editor/report.html",
        issue=issue,
        publication=publication,
        report=figures,
        states=[(state.value, count) for state, count in figures.states.items()],
        bounces=[(kind.value, count, kind.value in SENDER_FAULTS) for kind, count in figures.bounces.items()],
    )
