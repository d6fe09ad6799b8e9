"""A newsletter's readers: finding one, seeing what happened to their mail, stopping it.

Promise: addresses stand in pages, never in their addresses, so that no log or
history keeps them. For editors and administrators only.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from newsletter import audience, publications
from newsletter.audience import SubscriptionStatus, SuppressionReason
from newsletter.errors import Invalid
from newsletter.web.access import Editor
from newsletter.web.editor import queries
from newsletter.web.routing import Pages

MAX_EVIDENCE: Final = 300

routes = Pages()


@routes.shows("/studio/newsletters/{slug}/readers")
def readers(visit: Editor, slug: str) -> Response:
    """List and search a newsletter's readers."""
    text, status = visit.query.text("q"), visit.query.text("status")
    with visit.reading() as session:
        publication = publications.get(session, slug)
        page = audience.search(
            session,
            publication.id,
            text,
            status=_status(status),
            after=visit.query.whole_or_none("after") or 0,
        )
        counts = audience.counts(session, publication.id)
    return visit.page(
        "editor/readers.html", publication=publication, page=page, counts=counts, text=text, status_wanted=status
    )


@routes.shows("/studio/readers/{subscriber_id:int}")
def reader(visit: Editor, subscriber_id: int) -> Response:
    """Show all that is known of one reader, and what became of their mail."""
    with visit.reading() as session:
        known = audience.by_id(session, subscriber_id)
        titles = {title.id: title for title in publications.listing(session)}
        events = queries.events_of(session, subscriber_id, after=visit.query.whole_or_none("after"))
    return visit.page("editor/reader.html", known=known, titles=titles, events=events)


@routes.does("/studio/readers/{subscriber_id:int}/suppress")
def suppress(visit: Editor, subscriber_id: int) -> Response:
    """Stop all mail to a reader's address."""
    evidence = visit.fields.text("evidence")
    if not evidence or len(evidence) > MAX_EVIDENCE:
        raise Invalid(f"Say why, in at most {MAX_EVIDENCE} characters.", field="evidence")
    with visit.writing() as session:
        known = audience.by_id(session, subscriber_id)
        audience.suppress(
            session,
            visit.site.settings.secret,
            address=known.email,
            reason=SuppressionReason.MANUAL,
            evidence=f"{evidence} ({visit.person.email})",
        )
        visit.audit(session, "stopped mail to a reader", f"reader:{subscriber_id}", {"why": evidence})
    return visit.redirect(f"/studio/readers/{subscriber_id}", said="No more mail will be sent to this address.")


@routes.does("/studio/readers/{subscriber_id:int}/release")
def release(visit: Editor, subscriber_id: int) -> Response:
    """Allow mail to a reader's address again."""
    with visit.writing() as session:
        known = audience.by_id(session, subscriber_id)
        evidence = f"Released by {visit.person.email}."
        audience.release(session, visit.site.settings.secret, address=known.email, evidence=evidence)
        visit.audit(session, "allowed mail to a reader again", f"reader:{subscriber_id}")
    return visit.redirect(f"/studio/readers/{subscriber_id}", said="Mail to this address is allowed again.")


def _status(text: str) -> SubscriptionStatus | None:
    try:
        return SubscriptionStatus(text) if text else None
    except ValueError:
        raise Invalid("There is no such status.", field="status") from None
