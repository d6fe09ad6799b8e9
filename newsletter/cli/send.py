"""`newsletter send`: watching and steering one run of an issue.

Promise: every command prints the same flat account, "send", "audience", then every
state by its name, so that a script can check that nobody is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from newsletter import delivery, staff
from newsletter.cli.arguments import SendId
from newsletter.cli.door import ACTOR, entered
from newsletter.cli.output import DEFAULT_LIMIT, After, Json, Limit, document, facts, page, say, table
from newsletter.delivery import DeliveryState, LaneStatus, SendStatus

app = typer.Typer(no_args_is_help=True, help="Watch, pause, resume, cancel and retry sends.")


@app.command()
def status(send: SendId, *, as_json: Json = False) -> None:
    """Show where a send stands."""
    with entered() as door, door.database.read() as session:
        found = delivery.status(session, send)
    show(found, as_json=as_json)


@app.command()
def pause(send: SendId, *, as_json: Json = False) -> None:
    """Stop claiming; what is on the wire is finished."""
    _steer(send, delivery.pause, "paused the send", as_json=as_json)


@app.command()
def resume(send: SendId, *, as_json: Json = False) -> None:
    """Go on with a paused send."""
    _steer(send, delivery.resume, "resumed the send", as_json=as_json)


@app.command()
def cancel(send: SendId, *, as_json: Json = False) -> None:
    """End a send for good; whoever has not got it will not."""
    _steer(send, delivery.cancel, "cancelled the send", as_json=as_json)


@app.command()
def retry(
    send: SendId,
    *,
    uncertain: Annotated[
        bool, typer.Option("--uncertain", help="Also those who may have got it already, and may get it twice.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send again to those who have not got it: the refused, and the deferred without waiting."""
    _steer(send, partial(delivery.retry, uncertain=uncertain), "retried the send", as_json=as_json)


@app.command()
def evidence(
    send: SendId,
    file: Annotated[
        typer.FileText,
        typer.Argument(metavar="FILE", encoding="utf-8", errors="replace", help="The log; - is standard input."),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Read from the relay's log (Postfix's, or Message-IDs, one a line) who has got it.

    Those who are uncertain and named become accepted. While the send is paused this
    also holds for those who still wait: after a backup was restored the relay knows
    better. Who is not named stays.
    """
    with entered() as door, door.database.transaction() as session:
        settled = delivery.settle_by_log(session, door.settings, send, file)
        staff.audit(session, actor=ACTOR, action=f"settled {settled} by the relay's log", subject=f"send:{send}")
        found = delivery.status(session, send)
    if not as_json:
        say(f"{settled} more are known to be accepted")
    show(found, as_json=as_json)


@app.command()
def recipients(
    send: SendId,
    *,
    state: Annotated[DeliveryState, typer.Option(help="Which deliveries.")],
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List the readers whose delivery is in one state, by name."""
    with entered() as door, door.database.read() as session:
        found = delivery.recipients(session, send, state, after or 0, limit)
    columns = {
        "seq": lambda row: row.seq,
        "address": lambda row: row.address,
        "attempt": lambda row: row.attempt,
        "code": lambda row: row.code,
        "reply": lambda row: row.reply,
    }
    page(found, columns, as_json=as_json, empty=f"nobody is {state}")


def show(found: SendStatus, *, as_json: bool) -> None:
    """Print where a send stands."""
    if as_json:
        document(found.as_json())
        return
    facts(found.as_json())
    if found.lanes:
        columns = ("provider", "readers", "done", "left", "a minute", "state", "finish")
        table(columns, [_lane_row(lane) for lane in found.lanes])


def _lane_row(lane: LaneStatus) -> tuple[object, ...]:
    finish = lane.finishes_at or ("not known" if lane.left else "done")
    return lane.provider.slug, lane.readers, lane.done, lane.left, round(lane.pace), lane.state, finish


def _steer(send: int, move: Callable[[Session, int], object], action: str, *, as_json: bool) -> None:
    with entered() as door, door.database.transaction() as session:
        move(session, send)
        staff.audit(session, actor=ACTOR, action=action, subject=f"send:{send}")
        found = delivery.status(session, send)
    if not as_json:
        say(f"{action} {send}")
    show(found, as_json=as_json)
