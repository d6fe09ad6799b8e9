"""`newsletter collect`: reads the sources now, whatever their timetable.

Promise: one source's failure is told and stops no other. Exit code 1 only when
there are sources and none could be read.
"""

from __future__ import annotations

import typer

from newsletter import articles, publications
from newsletter.articles import Collected
from newsletter.cli.arguments import MaybeSlug
from newsletter.cli.door import entered
from newsletter.cli.output import Json, document, progress, say, table

app = typer.Typer()


@app.command()
def collect(publication: MaybeSlug = None, *, as_json: Json = False) -> None:
    """Read every source of a publication, or of all, now."""
    with entered() as door:
        with door.database.read() as session:
            chosen = publications.get(session, publication).id if publication else None
            due = articles.due_sources(session, chosen, force=True)
        found: list[Collected] = []
        with progress("reading sources") as tell:
            for source_id in due:
                found.append(articles.collect(door.database, source_id, allow=door.settings.fetch_allow))
                tell(len(found), len(due))
    if as_json:
        for one in found:
            document(one)
    elif found:
        rows = [(one.source_id, one.url, one.new, one.changed, one.unchanged, one.problem or "ok") for one in found]
        table(["source", "address", "new", "changed", "unchanged", "health"], rows)
    else:
        say("there are no sources; add one with: newsletter source add")
    if found and all(one.problem for one in found):
        raise typer.Exit(1)
