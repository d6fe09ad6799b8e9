"""`newsletter pace`: how fast mail may go to each mailbox provider and through each relay.

Promise: what is set here counts for all workers within two seconds. A relay's
rate stands in NEWSLETTER_SMTP_URL; here it is only shown.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from newsletter import delivery, staff
from newsletter.cli.door import ACTOR, entered
from newsletter.cli.output import Json, document, facts, say, table
from newsletter.delivery import PaceRow
from newsletter.errors import Invalid
from newsletter.kit import clock

app = typer.Typer(no_args_is_help=True, help="See and set how fast mail goes to each mailbox provider.")

Name = Annotated[str, typer.Argument(metavar="PROVIDER", help="gmail, yahoo, microsoft, apple, other.")]
NO_LIMIT = "none"


@app.command(name="list")
def list_paces(*, as_json: Json = False) -> None:
    """Show every pace: its limits a minute, and what a provider's replies have made of it."""
    with entered() as door, door.database.read() as session:
        found = [_told(row) for row in delivery.every_pace(session)]
    if as_json:
        for row in found:
            document(row)
    else:
        table(list(found[0]), [list(row.values()) for row in found])


@app.command(name="set")
def set_pace(
    provider: Name,
    *,
    per_minute: Annotated[str, typer.Option(metavar="N|none", help="Deliveries a minute over all workers, or none.")],
    as_json: Json = False,
) -> None:
    """Limit the deliveries to a provider, or take the limit away."""
    limit = None if per_minute == NO_LIMIT else _number(per_minute)
    with entered() as door, door.database.transaction() as session:
        row = delivery.set_pace(session, provider, limit)
        detail = {"per_minute": limit}
        staff.audit(session, actor=ACTOR, action="set the pace", subject=f"pace:{provider}", detail=detail)
    _show(row, as_json=as_json)


@app.command()
def resume(provider: Name, *, as_json: Json = False) -> None:
    """Send to a paused or slowed provider at once: what it complained of is mended. Takes a relay's name too."""
    with entered() as door, door.database.transaction() as session:
        row = delivery.resume_pace(session, provider)
        staff.audit(session, actor=ACTOR, action="resumed the pace", subject=f"pace:{provider}")
    if not as_json:
        say(f"mail to {provider} flows again")
    _show(row, as_json=as_json)


def _show(row: PaceRow, *, as_json: bool) -> None:
    if as_json:
        document(_told(row))
    else:
        facts(_told(row))


def _told(row: PaceRow) -> dict[str, Any]:
    moment = clock.now()
    slowed = row.slowed(moment)
    return {
        "pace": row.name,
        "state": str(row.standing(moment)),
        "per_minute": row.per_minute,
        "slowed_to": slowed and round(slowed),
        "left_today": row.left_today(moment),
        "since": row.since,
        "probe_at": row.probe_at,
        "reason": row.reason,
    }


def _number(text: str) -> int:
    if not text.isdecimal():
        raise Invalid(f"“{text}” is no pace; write a number a minute, or none.", field="per_minute")
    return int(text)
