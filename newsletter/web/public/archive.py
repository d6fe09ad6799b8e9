"""What anybody may read: past issues as pages, the feed of them, and a publication's look.

Promise: a page of the archive holds no reader's token and counts nobody. The web
version is markup made for mail, so it is shown in a sandbox of its own: whatever
a story's words contain, they are not on our origin (threat T2).
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from newsletter import editions
from newsletter.errors import NotFound
from newsletter.publications.brand import Brand
from newsletter.web import brands, pages
from newsletter.web.access import Anyone
from newsletter.web.forms import INTEGER
from newsletter.web.public import queries
from newsletter.web.routing import Pages
from newsletter.web.security import MAIL_POLICY, policy
from newsletter.web.statics import FOREVER

SHORTLY: Final = "public, max-age=300"
# Links of the page open in the same tab, and outside the sandbox.
WEB_POLICY: Final = {**MAIL_POLICY, "sandbox": f"{MAIL_POLICY['sandbox']} allow-top-navigation"}

routes = Pages()


@routes.shows("/n/{slug}/brand.css")
def brand_css(visit: Anyone, slug: str) -> Response:
    """Give the publication's colours; the address tells one look from another."""
    with visit.reading() as session:
        brand = Brand.of(queries.publication(session, slug))
    lasting = FOREVER if visit.query.text("v") == brands.digest(brand) else "no-cache"
    return Response(brands.stylesheet(brand), media_type="text/css", headers={"Cache-Control": lasting})


@routes.shows("/n/{slug}/feed.xml")
def feed(visit: Anyone, slug: str) -> Response:
    """Give the past issues as RSS 2.0."""
    with visit.reading() as session:
        publication = queries.publication(session, slug)
        past = queries.past_issues(session, publication.id)
    body = pages.render(visit.site, "public/feed.xml", publication=publication, past=past.rows)
    return _unless_known(visit.request, body, "application/rss+xml; charset=utf-8", {})


@routes.shows("/n/{slug}/{number:int}")
def web_version(visit: Anyone, slug: str, number: int) -> Response:
    """Show one past issue."""
    if number > INTEGER:
        raise NotFound("There is no such issue.")
    with visit.reading() as session:
        publication = queries.publication(session, slug)
        issue = queries.past_issue(session, publication.id, number)
        edition = editions.latest(session, issue.id)
    if edition is None:
        raise NotFound("There is no such issue.")
    headers = {"Content-Security-Policy": policy(WEB_POLICY)}
    return _unless_known(visit.request, edition.web_html, "text/html; charset=utf-8", headers)


def _unless_known(request: Request, body: str, media_type: str, headers: dict[str, str]) -> Response:
    """Answer with the body, or with 304 if the browser has it."""
    tag = f'"{brands.hashed(body)}"'
    headers = {**headers, "ETag": tag, "Cache-Control": SHORTLY}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
