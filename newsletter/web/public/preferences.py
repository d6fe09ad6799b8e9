"""A reader's own page: names, newsletters, tracking, a pause, and everything we know to take home.

Promise: the signed link is the permission and acts on its reader alone. A form
that is refused keeps what was typed and changes nothing.
"""

from __future__ import annotations

import json

from starlette.responses import Response

from newsletter import audience, events, publications
from newsletter.audience import Preferences, Reader
from newsletter.audience.leaving import PAUSES
from newsletter.errors import UserError
from newsletter.web.access import LinkHolder
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

VIA = "preferences"

routes = Pages()


@routes.shows("/p/{token}")
def preferences_page(visit: LinkHolder, token: str) -> Response:
    """Show the page."""
    return _page(visit, token)


@routes.does("/p/{token}")
def save(visit: LinkHolder, token: str) -> Response:
    """Save names, tracking and newsletters."""
    reader, fields = visit.site.links.open_preferences(token), visit.fields
    try:
        with visit.writing() as session:
            before = audience.preferences(session, reader)
            after = audience.set_preferences(
                session,
                reader,
                first_name=fields.text("first_name"),
                last_name=fields.text("last_name"),
                tracking=fields.flag("tracking"),
                wanted={choice.publication_id: fields.flag(f"on-{choice.publication_id}") for choice in before.choices},
            )
            for publication_id in _left(before, after):
                events.unsubscribed(session, _leaver(reader, publication_id), via=VIA)
    except UserError as error:
        return _page(visit, token, error=error)
    return _page(visit, token, done="Your choices are saved.")


@routes.does("/p/{token}/pause")
def pause(visit: LinkHolder, token: str) -> Response:
    """Rest for some weeks, or end the rest."""
    reader = visit.site.links.open_preferences(token)
    try:
        with visit.writing() as session:
            if visit.fields.flag("resume"):
                audience.resume(session, reader, via=VIA)
                done = "Welcome back: the next issue comes to you again."
            else:
                audience.pause(session, reader, weeks=visit.fields.whole("weeks"), via=VIA)
                done = "Paused. Mail resumes by itself, you need not do anything."
    except UserError as error:
        return _page(visit, token, error=error)
    return _page(visit, token, done=done)


@routes.shows("/p/{token}/data.json")
def download(visit: LinkHolder, token: str) -> Response:
    """Give the reader everything that is kept about them."""
    reader = visit.site.links.open_preferences(token)
    with visit.reading() as session:
        data = audience.personal_data(session, reader.subscriber_id).as_json()
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"'}
    body = json.dumps(data, ensure_ascii=False, indent=2)
    return Response(body, media_type="application/json", headers=headers)


def _left(before: Preferences, after: Preferences) -> set[int]:
    """Return the publications that were switched off."""
    now_on = {choice.publication_id for choice in after.choices if choice.on}
    return {choice.publication_id for choice in before.choices if choice.on} - now_on


def _leaver(reader: Reader, publication_id: int) -> Reader:
    """Only leaving the newsletter that the link came from counts for the issue that it came from."""
    send_id = reader.send_id if publication_id == reader.publication_id else 0
    return Reader(publication_id, reader.subscriber_id, send_id)


def _page(visit: Visit, token: str, *, done: str = "", error: UserError | None = None) -> Response:
    reader = visit.site.links.open_preferences(token)
    with visit.reading() as session:
        publication = publications.by_id(session, reader.publication_id)
        known = audience.preferences(session, reader)
    return visit.page(
        "public/preferences.html",
        status=error.status if error else 200,
        publication=publication,
        known=known,
        mine=next(choice for choice in known.choices if choice.publication_id == publication.id),
        typed=visit.fields if error and "first_name" in visit.fields else None,
        token=token,
        leave_token=visit.site.links.leave_token(publication.id, reader.subscriber_id, reader.send_id),
        pauses=PAUSES,
        done=done,
        mistake=error.message if error else "",
        wrong=getattr(error, "field", None),
    )
