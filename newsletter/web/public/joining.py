"""The page where readers sign up, with the archive beneath, and the page that confirms.

Promise: the answer to a sign-up is the same whoever asks, so that nobody learns
who reads what (threat T10); what differs is the mail. A machine that fills every
field, or that posts in less than a second, gets nowhere (T11). Opening the
confirmation link changes nothing: its button does.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from newsletter import audience, notices, publications
from newsletter.errors import BadToken, Invalid, Refused, UserError
from newsletter.kit import clock
from newsletter.kit.tokens import Sealer
from newsletter.publications.models import Publication
from newsletter.web.access import Anyone, LinkHolder
from newsletter.web.forms import INTEGER
from newsletter.web.public import queries
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

WORDING: Final = "sign-up-2026-11"  # the version of the text beside the button; change it when the text changes
TRAP: Final = "nickname"  # a field that people do not see
TOO_FAST_MS: Final = 1_000
TOO_OLD_MS: Final = 24 * 3_600_000

routes = Pages()


@routes.shows("/n/{slug}")
def sign_up_page(visit: Anyone, slug: str) -> Response:
    """Show the form and the archive."""
    with visit.reading() as session:
        publication = queries.publication(session, slug)
    return _page(visit, publication)


@routes.does("/n/{slug}")
def sign_up(visit: Anyone, slug: str) -> Response:
    """Take a sign-up."""
    with visit.reading() as session:
        publication = queries.publication(session, slug)
    email = visit.fields.text("email")
    if visit.fields.flag(TRAP):
        return _thanks(visit, publication, email)
    try:
        _check_form(visit, publication)
        _ask(visit, publication, email)
    except Invalid as error:
        return _page(visit, publication, status=error.status, email=email, mistake=error.message)
    return _thanks(visit, publication, email)


@routes.shows("/confirm/{token}")
def confirm_page(visit: LinkHolder, token: str) -> Response:
    """Show what is to be confirmed, and the button."""
    with visit.reading() as session:
        awaiting = audience.awaiting(session, visit.site.settings.secret, token)
        publication = publications.by_id(session, awaiting.publication_id)
    return visit.page("public/confirm.html", publication=publication, awaiting=awaiting, token=token)


@routes.does("/confirm/{token}")
def confirm(visit: LinkHolder, token: str) -> Response:
    """Confirm a subscription."""
    secret = visit.site.settings.secret
    try:
        with visit.writing() as session:
            confirmed = audience.confirm(session, secret, token, network=visit.host)
            publication = publications.by_id(session, confirmed.publication_id)
            latest = next(iter(queries.past_issues(session, publication.id, limit=1).rows), None)
            latest_url = f"{visit.site.settings.base_url}/n/{publication.slug}/{latest.number}" if latest else ""
            notices.welcome(session, confirmed, links=visit.site.links, latest_url=latest_url)
    except Refused as error:
        return _not_confirmed(visit, token, error)
    preferences = visit.site.links.preferences_token(publication.id, confirmed.subscriber_id)
    return visit.page("public/confirmed.html", publication=publication, latest=latest, preferences=preferences)


def _ask(visit: Visit, publication: Publication, email: str) -> None:
    settings = visit.site.settings
    with visit.writing() as session:
        asked = audience.ask(
            session,
            settings.secret,
            email=email,
            publication_id=publication.id,
            source="sign-up page",
            wording=WORDING,
            network=visit.host,
        )
        notices.answer_sign_up(session, asked, links=visit.site.links)


def _check_form(visit: Visit, publication: Publication) -> None:
    """Refuse a form that we did not make, or that came back sooner than a person can type."""
    try:
        made, publication_id = _sealer(visit).open(visit.fields.text("made"), 2)
    except BadToken:
        made, publication_id = 0, publication.id
    age = _now_ms() - made
    if publication_id != publication.id or not TOO_FAST_MS <= age <= TOO_OLD_MS:
        raise Invalid("Please press the button once more.", field="email")


def _page(visit: Visit, publication: Publication, *, status: int = 200, email: str = "", mistake: str = "") -> Response:
    with visit.reading() as session:
        past = queries.past_issues(session, publication.id, after=visit.query.whole_or_none("after", most=INTEGER))
    return visit.page(
        "public/sign_up.html",
        status=status,
        publication=publication,
        past=past,
        made=_sealer(visit).seal(_now_ms(), publication.id),
        trap=TRAP,
        email=email,
        mistake=mistake,
    )


def _thanks(visit: Visit, publication: Publication, email: str) -> Response:
    return visit.page("public/check_your_mail.html", publication=publication, email=email)


def _not_confirmed(visit: Visit, token: str, error: UserError) -> Response:
    with visit.reading() as session:
        awaiting = audience.awaiting(session, visit.site.settings.secret, token)
        publication = publications.by_id(session, awaiting.publication_id)
    return visit.page("public/not_confirmed.html", status=error.status, publication=publication, sentence=error.message)


def _sealer(visit: Visit) -> Sealer:
    return Sealer(visit.site.settings.secret, "sign-up form")


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)
