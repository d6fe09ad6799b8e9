"""One newsletter: its sources and how they fare, its readers in figures, its issues."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from starlette.responses import Response

from newsletter import articles, audience, issues, publications
from newsletter.articles import Collected
from newsletter.errors import NotFound, UserError
from newsletter.web.access import Editor, Viewer, Writer
from newsletter.web.formats import plural
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

RECENT: Final = 10
AT_ONCE: Final = 4  # sources fetched side by side
WISHES: Final = {"remove": "removed a source", "pause": "paused a source"}

routes = Pages()


@routes.shows("/studio/newsletters/{slug}")
def overview(visit: Viewer, slug: str) -> Response:
    """Show one newsletter."""
    return _overview(visit, slug)


@routes.does("/studio/newsletters/{slug}/draft")
def draft(visit: Writer, slug: str) -> Response:
    """Make the next draft, or open the one there is."""
    with visit.writing() as session:
        publication = publications.get(session, slug)
        issue = issues.draft(session, publication.id)
        visit.audit(session, "drafted", f"issue:{issue.id}")
    return visit.redirect(f"/studio/issues/{issue.id}")


@routes.does("/studio/newsletters/{slug}/sources")
def add_source(visit: Editor, slug: str) -> Response:
    """Add a source and read it at once, so that a wrong address shows now."""
    fields = visit.fields
    try:
        with visit.writing() as session:
            publication = publications.get(session, slug)
            source = articles.add_source(session, publication.id, fields.text("url"), section=fields.text("section"))
            visit.audit(session, "added a source", f"newsletter:{slug}", {"url": source.url})
    except UserError as error:
        return _overview(visit, slug, error=error)
    said = _told([_collect(visit, source.id)])
    return visit.redirect(f"/studio/newsletters/{slug}", said=said)


@routes.does("/studio/newsletters/{slug}/collect")
def collect(visit: Writer, slug: str) -> Response:
    """Read every source now."""
    with visit.reading() as session:
        publication = publications.get(session, slug)
        due = articles.due_sources(session, publication.id, force=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        collected = list(pool.map(lambda source_id: _collect(visit, source_id), due))
    return visit.redirect(f"/studio/newsletters/{slug}", said=_told(collected))


@routes.does("/studio/newsletters/{slug}/sources/{source_id:int}")
def change_source(visit: Editor, slug: str, source_id: int) -> Response:
    """Pause a source, take it up again, or remove it; its stories stay."""
    wish = visit.fields.text("do")
    with visit.writing() as session:
        publication = publications.get(session, slug)
        mine = {source.id: source.url for source in articles.sources(session, publication.id)}
        if source_id not in mine:
            raise NotFound("This newsletter has no such source; it may have been removed.")
        if wish == "remove":
            articles.remove_source(session, source_id)
        else:
            articles.update_source(session, source_id, active=wish != "pause")
        visit.audit(session, WISHES.get(wish, "took up a source"), f"newsletter:{slug}", {"url": mine[source_id]})
    return visit.redirect(f"/studio/newsletters/{slug}#sources-title")


def _collect(visit: Visit, source_id: int) -> Collected:
    return articles.collect(visit.site.database, source_id, allow=visit.site.settings.fetch_allow)


def _told(collected: list[Collected]) -> str:
    """Say in one sentence what collecting brought."""
    if not collected:
        return "There is no source yet."
    new = plural(sum(one.new for one in collected), "new story", "new stories")
    troubled = [one for one in collected if one.problem]
    if not troubled:
        return f"Found {new}."
    if len(collected) == 1:
        return f"The source could not be read: {troubled[0].problem}"
    return f"Found {new}; {plural(len(troubled), 'source')} could not be read."


def _overview(visit: Visit, slug: str, *, error: UserError | None = None) -> Response:
    with visit.reading() as session:
        publication = publications.get(session, slug)
        return visit.page(
            "editor/newsletter.html",
            status=error.status if error else 200,
            publication=publication,
            counts=audience.counts(session, publication.id),
            sources=articles.sources(session, publication.id),
            sections=publications.blueprint(session, publication.id),
            page=issues.listing(session, publication.id, limit=RECENT),
            titles=[publication],
            by_id={publication.id: publication},
            typed=visit.fields if error else {},
            mistake=error.message if error else "",
        )
