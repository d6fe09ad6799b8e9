"""Sending an issue: the page that says to how many, the send's progress, its buttons, its recipients.

Promise: pressing twice makes one send, since the send is found again by its
issue. What was approved is what is sent: if the issue has changed since the page
was opened, nothing happens.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from starlette.responses import Response

from newsletter import audience, delivery, editions, issues, publications
from newsletter.delivery.models import DeliveryState, SendState
from newsletter.delivery.plan import READY
from newsletter.errors import ConfigError, Conflict, Invalid, NewsletterError, UserError
from newsletter.kit import clock
from newsletter.web.access import Editor, Viewer
from newsletter.web.formats import field_time
from newsletter.web.forms import INTEGER
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

SEND: Final = "/studio/sends/{send_id:int}"
LIVE: Final = (SendState.SCHEDULED, SendState.FREEZING, SendState.SENDING)  # what a page keeps watching

routes = Pages()


@routes.shows("/studio/issues/{issue_id:int}/send")
def confirm_send(visit: Editor, issue_id: int) -> Response:
    """Show to how many the issue would go, and the button."""
    return _confirm(visit, issue_id)


@routes.does("/studio/issues/{issue_id:int}/send")
def start(visit: Editor, issue_id: int) -> Response:
    """Send now, or at a time of the newsletter's zone."""
    fields = visit.fields
    try:
        with visit.writing() as session:
            issue = issues.get(session, issue_id)
            if issue.version != fields.whole("version"):
                raise Conflict("The issue has changed since you opened this page; look at it again before you send.")
            publication = publications.by_id(session, issue.publication_id)
            at = fields.instant("at", zone_name=publication.timezone) if fields.text("when") == "later" else None
            send = delivery.start(session, issue_id, at=at, by=visit.person.email, settings=visit.site.settings)
            detail = {"send": send.send, "at": at.isoformat() if at else "now"}
            visit.audit(session, "scheduled the send" if at else "sent", f"issue:{issue_id}", detail)
    except (UserError, ConfigError) as error:  # the latter: no relay is set
        return _confirm(visit, issue_id, error=error)
    return visit.redirect(f"/studio/sends/{send.send}")


@routes.shows(SEND)
def progress(visit: Viewer, send_id: int) -> Response:
    """Show where every delivery stands; the page asks for itself again while the send goes on."""
    with visit.reading() as session:
        status = delivery.status(session, send_id)
        issue = issues.get(session, status.issue)
        publication = publications.by_id(session, issue.publication_id)
    return visit.page(
        "editor/send.html",
        send=status,
        issue=issue,
        publication=publication,
        states=[(state.value, getattr(status, state.value)) for state in DeliveryState],
        live=status.state in LIVE,
    )


@routes.does(SEND + "/pause")
def pause(visit: Editor, send_id: int) -> Response:
    """Stop claiming; what is on the wire is finished."""
    with visit.writing() as session:
        delivery.pause(session, send_id)
        visit.audit(session, "paused the send", f"send:{send_id}")
    return visit.redirect(f"/studio/sends/{send_id}")


@routes.does(SEND + "/resume")
def resume(visit: Editor, send_id: int) -> Response:
    """Go on with a paused send."""
    with visit.writing() as session:
        delivery.resume(session, send_id)
        visit.audit(session, "resumed the send", f"send:{send_id}")
    return visit.redirect(f"/studio/sends/{send_id}")


@routes.does(SEND + "/pace")
def resume_pace(visit: Editor, send_id: int) -> Response:
    """Send to a paused or slowed mailbox provider at once, in this send and all others."""
    provider = visit.fields.text("provider")
    with visit.writing() as session:
        delivery.resume_pace(session, provider)
        visit.audit(session, "resumed the pace", f"pace:{provider}", {"send": send_id})
    return visit.redirect(f"/studio/sends/{send_id}")


@routes.does(SEND + "/cancel")
def cancel(visit: Editor, send_id: int) -> Response:
    """Call the send off; who has it already, has it."""
    with visit.writing() as session:
        delivery.cancel(session, send_id)
        visit.audit(session, "cancelled the send", f"send:{send_id}")
    return visit.redirect(f"/studio/sends/{send_id}")


@routes.does(SEND + "/retry")
def retry(visit: Editor, send_id: int) -> Response:
    """Send again to those who have not got it; with ``uncertain`` also to those who may have."""
    uncertain = visit.fields.flag("uncertain")
    with visit.writing() as session:
        delivery.retry(session, send_id, uncertain=uncertain)
        visit.audit(session, "retried the send", f"send:{send_id}", {"uncertain": uncertain})
    return visit.redirect(f"/studio/sends/{send_id}")


@routes.shows(SEND + "/recipients")
def recipients(visit: Editor, send_id: int) -> Response:
    """List the recipients in one state, each with its evidence."""
    state = _state(visit.query.text("state"))
    with visit.reading() as session:
        status = delivery.status(session, send_id)
        issue = issues.get(session, status.issue)
        publication = publications.by_id(session, issue.publication_id)
        page = delivery.recipients(session, send_id, state, after=visit.query.whole_or_none("after", most=INTEGER) or 0)
    return visit.page(
        "editor/recipients.html",
        send=status,
        issue=issue,
        publication=publication,
        page=page,
        state=state.value,
        states=[(each.value, getattr(status, each.value)) for each in DeliveryState],
    )


def _confirm(visit: Visit, issue_id: int, *, error: NewsletterError | None = None) -> Response:
    with visit.reading() as session:
        issue = issues.get(session, issue_id)
        publication = publications.by_id(session, issue.publication_id)
        findings = editions.preflight(session, issue_id, visit.site.settings)
        counts = audience.counts(session, publication.id)
    soon = clock.now() + dt.timedelta(hours=1)
    return visit.page(
        "editor/confirm_send.html",
        status=(error.status if isinstance(error, UserError) else 409) if error else 200,
        issue=issue,
        publication=publication,
        counts=counts,
        ready=issue.state in READY,
        blocks=[finding for finding in findings if finding.level == "block"],
        warnings=[finding for finding in findings if finding.level != "block"],
        at=visit.fields.text("at") or field_time(soon, publication.timezone),
        later=visit.fields.text("when") == "later",
        mistake=error.message if error else "",
    )


def _state(text: str) -> DeliveryState:
    try:
        return DeliveryState(text)
    except ValueError:
        raise Invalid("There is no such state of a delivery.", field="state") from None
