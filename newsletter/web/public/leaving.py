"""Unsubscribing: from the page behind a mail's footer, and by the mail program's own button.

Promise: opening the link shows a page and changes nothing, however often and by
whatever machine (threat T9). One POST leaves, again and again with the same
answer; a POST by RFC 8058 gets 200, no cookie and no redirect. The token names
one reader and one publication and can act on nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import PlainTextResponse, Response

from newsletter import audience, events, publications
from newsletter.audience import Reader
from newsletter.errors import BadToken, UserError
from newsletter.kit import addresses
from newsletter.publications.models import Publication
from newsletter.web.access import LinkHolder
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

routes = Pages()


@dataclass(frozen=True, slots=True)
class Standing:
    """What a leaving page knows: the publication, who (an address if there still is one), and whether they read it."""

    publication: Publication
    reader: Reader
    masked: str
    reading: bool


@routes.shows("/u/{token}")
def leave_page(visit: LinkHolder, token: str) -> Response:
    """Show whose subscription it is, and the button."""
    standing = _standing(visit, visit.site.links.open_leave(token))
    return _page(visit, token, "public/leave.html", standing)


@routes.does("/u/{token}")
def leave(visit: LinkHolder, token: str) -> Response:
    """Leave, by the page's button or by RFC 8058, section 3.2."""
    one_click = visit.fields.text("List-Unsubscribe") == "One-Click"
    reader = visit.site.links.open_leave(token)
    _leave(visit, reader, via="one-click" if one_click else "page")
    if one_click:
        return PlainTextResponse("You have been unsubscribed.\n")
    return _page(visit, token, "public/left.html", _standing(visit, reader), thanked=False)


@routes.does("/u/{token}/reason")
def give_reason(visit: LinkHolder, token: str) -> Response:
    """Note why, for whoever wants to say."""
    reader = visit.site.links.open_leave(token)
    standing = _standing(visit, reader)
    if not standing.reading:
        _leave(visit, reader, via="page", reason=visit.fields.text("reason"))
    return _page(visit, token, "public/left.html", standing, thanked=True)


@routes.does("/u/{token}/undo")
def undo(visit: LinkHolder, token: str) -> Response:
    """Take up the subscription again."""
    reader = visit.site.links.open_leave(token)
    try:
        with visit.writing() as session:
            audience.resume(session, reader, via="page")
    except UserError as error:
        return _page(visit, token, "public/not_confirmed.html", _standing(visit, reader), error)
    return _page(visit, token, "public/back.html", _standing(visit, reader))


def _leave(visit: Visit, reader: Reader, *, via: str, reason: str = "") -> None:
    with visit.writing() as session:
        left = audience.leave(session, reader, via=via, reason=reason)
        if left.changed:
            events.unsubscribed(session, reader, via=via)


def _standing(visit: Visit, reader: Reader) -> Standing:
    """Return where the reader stands; one who was erased has left and has no address."""
    with visit.reading() as session:
        publication = publications.by_id(session, reader.publication_id)
        try:
            known = audience.preferences(session, reader)
        except BadToken:
            return Standing(publication, reader, masked="", reading=False)
    mine = next(choice for choice in known.choices if choice.publication_id == publication.id)
    return Standing(publication, reader, addresses.parse(known.address).masked, reading=mine.on)


def _page(
    visit: Visit, token: str, template: str, standing: Standing, error: UserError | None = None, **facts: bool
) -> Response:
    reader = standing.reader
    return visit.page(
        template,
        status=error.status if error else 200,
        publication=standing.publication,
        standing=standing,
        sentence=error.message if error else "",
        token=token,
        preferences_token=visit.site.links.preferences_token(
            reader.publication_id, reader.subscriber_id, reader.send_id
        ),
        **facts,
    )
