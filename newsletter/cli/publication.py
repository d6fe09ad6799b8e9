"""`newsletter publication`: the newsletter titles readers join.

Promise: `create` makes one with a default blueprint of sections, or says which
value is wrong; `list` shows all.
"""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter import publications, staff
from newsletter.cli.door import ACTOR, entered
from newsletter.cli.output import Json, document, say, table
from newsletter.publications import DeadlineRule, Publication

app = typer.Typer(no_args_is_help=True, help="Make and list publications.")


@app.command()
def create(
    slug: Annotated[str, typer.Argument(help="Short name in addresses, such as weekly-brief.")],
    *,
    name: Annotated[str, typer.Option(help="The title readers know.")],
    sender: Annotated[str, typer.Option("--from", help='Sender: "Foreign Brief <desk@example.org>".')],
    address: Annotated[str, typer.Option(help="Postal address of the publisher; the law wants it in every mail.")],
    timezone: Annotated[str, typer.Option(help="IANA time zone, such as America/New_York.")],
    deadline_rule: Annotated[
        DeadlineRule, typer.Option(help="What happens at the hour when nobody has approved the issue.")
    ] = DeadlineRule.HOLD,
    language: Annotated[str, typer.Option(help="Language of the publication.")] = "en",
    website: Annotated[str, typer.Option(help="Address of the publisher's website.")] = "",
    as_json: Json = False,
) -> None:
    """Make a publication."""
    with entered() as door, door.database.transaction() as session:
        made = publications.create(
            session,
            slug=slug,
            name=name,
            sender=sender,
            postal_address=address,
            timezone=timezone,
            deadline_rule=deadline_rule,
            language=language,
            website=website,
        )
        staff.audit(session, actor=ACTOR, action="made the publication", subject=f"publication:{made.slug}")
        page = f"{door.settings.base_url}/n/{made.slug}"
    if as_json:
        document({**_row(made), "page": page})
    else:
        say(f"made {made.slug}; readers sign up at {page}")


@app.command("list")
def listing(*, as_json: Json = False) -> None:
    """List the publications."""
    with entered() as door, door.database.read() as session:
        found = publications.listing(session)
    if as_json:
        for one in found:
            document(_row(one))
        return
    rows = [(one.slug, one.name, f"{one.from_name} <{one.from_address}>", one.timezone) for one in found]
    table(["publication", "name", "from", "time zone"], rows)


def _row(one: Publication) -> dict[str, object]:
    return {
        "publication": one.slug,
        "id": one.id,
        "name": one.name,
        "from": f"{one.from_name} <{one.from_address}>",
        "address": one.postal_address,
        "timezone": one.timezone,
        "deadline_rule": one.deadline_rule,
        "next_number": one.next_number,
    }
