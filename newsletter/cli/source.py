"""`newsletter source`: the feeds that stories come from.

Promise: `add` and `list` touch the database only; `check` reads a feed now, shows
what it would yield, and keeps nothing.
"""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter import articles, publications, staff
from newsletter.cli.arguments import MaybeSlug, Slug
from newsletter.cli.door import ACTOR, entered, load
from newsletter.cli.output import Json, document, say, table

app = typer.Typer(no_args_is_help=True, help="Add, list and check the feeds that stories come from.")

Url = Annotated[str, typer.Argument(metavar="URL", help="Address of an RSS, Atom or JSON feed.")]


@app.command()
def add(
    publication: Slug,
    url: Url,
    *,
    section: Annotated[str, typer.Option(metavar="NAME", help="Section of its stories, unless they name one.")] = "",
    as_json: Json = False,
) -> None:
    """Add a feed to a publication; it is read within seconds."""
    with entered() as door, door.database.transaction() as session:
        made = articles.add_source(session, publications.get(session, publication).id, url, section=section)
        staff.audit(session, actor=ACTOR, action="added a source", subject=f"source:{made.id}", detail={"url": url})
    if as_json:
        document({"source": made.id, "publication": publication, "url": made.url, "section": made.section})
    else:
        say(f"source {made.id} added: {made.url}")


@app.command("list")
def listing(publication: MaybeSlug = None, *, as_json: Json = False) -> None:
    """List the feeds and how they are."""
    with entered() as door, door.database.read() as session:
        chosen = publications.get(session, publication).id if publication else None
        found = articles.sources(session, chosen)
    if as_json:
        for one in found:
            document(one)
        return
    rows = [(one.id, one.url, one.section, one.last_success_at, one.problem or "ok") for one in found]
    table(["source", "address", "section", "last read", "health"], rows)


@app.command()
def check(url: Url, *, as_json: Json = False) -> None:
    """Read a feed now and show what it would yield; nothing is kept."""
    found = articles.check_source(url, load().fetch_allow)
    if as_json:
        document(found)
        return
    say(f"{found.format}: {found.title}, {len(found.stories)} stories. {found.note}".rstrip())
    rows = [(story.published_at, story.section, story.headline, story.url) for story in found.stories]
    table(["published", "section", "headline", "address"], rows)


@app.command()
def remove(
    source: Annotated[int, typer.Argument(metavar="SOURCE", min=1, help="Number shown by: newsletter source list.")],
) -> None:
    """Forget a feed; the articles that came from it stay."""
    with entered() as door, door.database.transaction() as session:
        articles.remove_source(session, source)
        staff.audit(session, actor=ACTOR, action="removed a source", subject=f"source:{source}")
    say(f"source {source} removed; its articles stay")
