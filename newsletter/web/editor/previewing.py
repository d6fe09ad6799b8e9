"""The mail in a frame, without our origin.

Promise: what is shown is decoded from the message that would be sent, filled for
nobody in particular; only its counted links are led to their targets, so that
looking counts nothing. The frame may run no script and reach nothing but
pictures (threats T1, T2).
"""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from html import escape
from typing import Final, Literal

from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from newsletter import editions, issues, publications
from newsletter.editions import Compiled, Link, Slot
from newsletter.errors import Invalid
from newsletter.issues import IssueState
from newsletter.web import pages
from newsletter.web.security import MAIL_POLICY, policy
from newsletter.web.site import Site

Part = Literal["html", "text"]

GONE: Final = (IssueState.SENDING, IssueState.SENT)  # readers have it: show what they got
NOBODY: Final = "preview"  # stands for every token; opens nothing
HEADERS: Final = {
    "to": "reader@example.org",
    "date": "Thu, 01 Jan 1970 00:00:00 +0000",
    "message_id": "preview@example.org",
    "bounce_address": "preview@example.org",
    "feedback_id": NOBODY,
}
FRAME_POLICY: Final = policy({**MAIL_POLICY, "frame-ancestors": "'self'"})


def frame(site: Site, session: Session, issue_id: int, part: Part) -> Response:
    """Answer with one part of the mail, or with the reason why there is none."""
    try:
        compiled, links = _mail(site, session, issue_id)
        body = _html(compiled, links, site.settings.base_url) if part == "html" else _text(site, compiled)
    except Invalid as error:
        body = pages.render(site, "editor/frame_problem.html", sentence=error.message)
    return HTMLResponse(body, headers={"Content-Security-Policy": FRAME_POLICY})


def _mail(site: Site, session: Session, issue_id: int) -> tuple[Compiled, tuple[Link, ...]]:
    """Return the mail that went out, or the one that would go out now."""
    issue = issues.get(session, issue_id)
    frozen = editions.latest(session, issue_id) if issue.state in GONE else None
    if frozen is not None:
        return frozen.compiled, frozen.links
    publication = publications.by_id(session, issue.publication_id)
    composed = editions.compose(issue, publication, site.settings.base_url)
    return composed.compiled, composed.links


def _html(compiled: Compiled, links: tuple[Link, ...], base_url: str) -> str:
    body = _part(compiled, "html")
    for link in links:
        body = body.replace(f'"{base_url}/c/{NOBODY}/{link.n}"', f'"{escape(link.url)}"')
    return body.replace("<head>", '<head><base target="_blank">', 1)


def _text(site: Site, compiled: Compiled) -> str:
    return pages.render(site, "editor/frame_text.html", text=_part(compiled, "plain"))


def _part(compiled: Compiled, subtype: Literal["html", "plain"]) -> str:
    """Decode a part of the message as a mail program would."""
    raw = compiled.join([slot.encode(_value(slot)) for slot in compiled.slots])
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    part = message.get_body((subtype,))
    assert part is not None
    return str(part.get_content())


def _value(slot: Slot) -> str:
    """A field is empty, so that its default shows; every token is nobody's."""
    return "" if slot.field else HEADERS.get(slot.name, NOBODY)
