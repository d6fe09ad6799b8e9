"""The pool: collected stories that no issue has used, and what becomes of them."""

from __future__ import annotations

from sqlalchemy.orm import Session
from starlette.responses import Response

from newsletter import articles, issues, publications
from newsletter.articles import ArticleState
from newsletter.errors import FeedError, FetchError, Invalid, NotFound
from newsletter.issues import IssueView
from newsletter.issues.states import EDITABLE
from newsletter.web import security
from newsletter.web.access import Viewer, Writer
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

routes = Pages()


@routes.shows("/studio/newsletters/{slug}/stories")
def pool(visit: Viewer, slug: str) -> Response:
    """List and search the pool; with ``issue`` each story can be placed there."""
    return _pool(visit, slug)


@routes.does("/studio/newsletters/{slug}/stories")
def add_story(visit: Writer, slug: str) -> Response:
    """Fetch one page by its address and put its story into the pool."""
    with visit.reading() as session:
        publication = publications.get(session, slug)
    url = visit.fields.text("url")
    try:
        article = articles.add_url(visit.site.database, publication.id, url, visit.site.settings.fetch_allow)
    except (FetchError, FeedError) as error:
        return _pool(visit, slug, url=url, mistake=error.message)
    with visit.writing() as session:
        visit.audit(session, "added a story", f"newsletter:{slug}", {"url": article.canonical_url})
    return visit.redirect(f"/studio/newsletters/{slug}/stories", said=f"Added: {article.headline}")


@routes.does("/studio/newsletters/{slug}/stories/{article_id:int}/rule")
def rule(visit: Writer, slug: str, article_id: int) -> Response:
    """Hold a story for later, rule it out, or put it back into the pool."""
    state = _state(visit.fields.text("state"))
    with visit.writing() as session:
        publication = publications.get(session, slug)
        article = articles.view(session, [article_id]).get(article_id)
        if article is None or article.publication_id != publication.id:
            raise NotFound("This newsletter has no such story.")
        articles.rule(session, article_id, state)
        visit.audit(session, f"ruled: {state}", f"story:{article_id}", {"headline": article.headline})
    return visit.redirect(security.local_path(visit.fields.text("back"), f"/studio/newsletters/{slug}/stories"))


def _pool(visit: Visit, slug: str, *, url: str = "", mistake: str = "") -> Response:
    query = visit.query
    state = _state(query.text("state") or ArticleState.POOL)
    with visit.reading() as session:
        publication = publications.get(session, slug)
        return visit.page(
            "editor/stories.html",
            status=422 if mistake else 200,
            publication=publication,
            page=articles.pool(
                session,
                publication.id,
                exclude_ids=issues.articles_used(session, publication.id),
                text=query.text("q"),
                state=state,
                after=query.whole_or_none("after"),
            ),
            issue=_open_issue(session, publication.id, query.whole_or_none("issue")),
            text=query.text("q"),
            state=state.value,
            url=url,
            mistake=mistake,
        )


def _open_issue(session: Session, publication_id: int, wanted: int | None) -> IssueView | None:
    """Return the issue that stories are added to: the one asked for, else the newest that can still be changed."""
    for row in issues.listing(session, publication_id).rows:
        if row.state in EDITABLE and wanted in (None, row.id):
            return issues.get(session, row.id)
    return None


def _state(text: str) -> ArticleState:
    try:
        return ArticleState(text)
    except ValueError:
        raise Invalid("A story is in the pool, held or ruled out.", field="state") from None
