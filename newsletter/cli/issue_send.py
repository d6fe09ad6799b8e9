"""`newsletter issue send`: puts an approved issue on its way and, if asked, waits.

Promise: asking twice gives the first send. With `--wait` it returns when every
delivery has been decided, with exit code 0, or with 1 and the reason as soon as
nothing can go on by itself: paused, cancelled, missed, or no worker anywhere.
"""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from newsletter import delivery, issues, publications, staff
from newsletter.cli.arguments import IssueId
from newsletter.cli.door import ACTOR, Door, entered
from newsletter.cli.output import Json
from newsletter.cli.send import show
from newsletter.delivery import DeliveryState, SendState, SendStatus
from newsletter.errors import Refused
from newsletter.jobs.inspection import BrokerAway, living
from newsletter.kit import clock

LOOK_EVERY: Final = 0.5
STILL_SECONDS: Final = 20.0  # without any change, after which we ask whether anybody works at all
STOPPED: Final = {
    SendState.PAUSED: "It is paused; go on with: newsletter send resume.",
    SendState.CANCELLED: "It was cancelled.",
    SendState.MISSED: "It was missed: nothing ran at its time. Start it again with: newsletter issue send.",
}


def send(
    issue: IssueId,
    *,
    at: Annotated[
        str,
        typer.Option(
            metavar="ISO-8601",
            help="When; without it, now. Wall-clock time of the publication unless it has an offset.",
        ),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when everybody has been served, showing progress.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send an approved issue to its audience, now or at a time."""
    with entered() as door:
        with door.database.transaction() as session:
            view = issues.get(session, issue)
            zone = publications.by_id(session, view.publication_id).timezone
            when = clock.parse_instant(at, zone_name=zone) if at else None
            found = delivery.start(session, issue, at=when, by=ACTOR, settings=door.settings)
            staff.audit(session, actor=ACTOR, action="sent the issue", subject=f"issue:{issue}", detail={"at": at})
        if wait:
            found = _wait(door, found.send)
    show(found, as_json=as_json)


def _wait(door: Door, send_id: int) -> SendStatus:
    """Return the send's status once it is complete, or raise ``Refused`` with why it will not be."""
    console = Console(stderr=True)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        changed, before = time.monotonic(), ""
        while True:
            with door.database.read() as session:
                found = delivery.status(session, send_id)
            if found.state is SendState.COMPLETE:
                return found
            if found.state in STOPPED or (found.state is SendState.SCHEDULED and found.problem):
                why = " ".join(filter(None, (found.problem, STOPPED.get(found.state, ""))))
                raise Refused(f"Send {send_id} does not go on: {why}")
            if found.state is SendState.SENDING and found.held:
                raise Refused(f"Send {send_id} waits and goes on by itself: {found.problem}")
            line = _line(found)
            if line != before:
                changed, before = time.monotonic(), line
                live.update(Text(line), refresh=True)
            elif time.monotonic() - changed > STILL_SECONDS:
                _insist_on_workers(door, found)
                changed = time.monotonic()
            time.sleep(LOOK_EVERY)


def _line(found: SendStatus) -> str:
    account = found.as_json()
    states = "  ".join(f"{state} {account[state]}" for state in DeliveryState if account[state])
    return f"{found.state}  audience {found.audience}  {states}"


def _insist_on_workers(door: Door, found: SendStatus) -> None:
    try:
        workers = living(door.settings).workers
    except BrokerAway:
        return  # workers do without; whether one runs cannot be seen from here
    if not workers:
        raise Refused(
            f"No worker runs, so send {found.send} waits; start one with: newsletter worker. It goes on by itself then."
        )
