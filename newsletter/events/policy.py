"""What an event does to a reader: the only place that decides it.

Promise: a reader is never punished for the sender's fault, the issue's, or the
network's: classes without a rule change nothing. Failures count in issues, not
in days, and an issue that was accepted and did not come back within a week ends
the count. Every change goes through ``audience`` with a sentence of evidence and
the event's id, so that it can be explained and undone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter import audience
from newsletter.delivery.models import Delivery, DeliveryState, Recipient, Send
from newsletter.events.models import BounceClass, Event, EventKind
from newsletter.kit import clock


@dataclass(frozen=True, slots=True)
class Rule:
    """After how many consecutive issues, over at least how many days, an address is given up.

    ``hard_issues`` is the number when the report leaves no doubt (see ``classify.Judgement.hard``).
    """

    issues: int
    days: int = 0
    hard_issues: int | None = None


POLICY: Final[Mapping[BounceClass, Rule]] = {
    BounceClass.BAD_MAILBOX: Rule(issues=1),
    BounceClass.BAD_DOMAIN: Rule(issues=2, hard_issues=1),
    BounceClass.DISABLED: Rule(issues=2),
    BounceClass.MAILBOX_FULL: Rule(issues=4, days=28),
    BounceClass.REFUSED: Rule(issues=4),
}
SETTLED: Final = dt.timedelta(days=7)  # an accepted issue counts as arrived when nothing came back for so long
LOOK_BACK: Final = 40  # issues of one publication that are looked at
QUOTED: Final = 200  # letters of a reply in a sentence of evidence


@dataclass(frozen=True, slots=True)
class Failure:
    """A new bounced or complained event about a reader, with what its evidence needs."""

    event_id: int
    at: dt.datetime
    kind: EventKind
    send_id: int
    publication_id: int
    subscriber_id: int
    bounce_class: BounceClass
    hard: bool
    reply: str


@dataclass(frozen=True, slots=True)
class Past:
    """How one earlier issue went for one reader. ``bounce_class`` is None where nothing came back."""

    send_id: int
    started_at: dt.datetime
    state: DeliveryState
    bounce_class: BounceClass | None


def apply(session: Session, failures: Iterable[Failure]) -> int:
    """Let new events have their consequences; return how many readers were given up."""
    due: list[tuple[Failure, int]] = []
    doubtful: dict[int, list[Failure]] = {}
    for failure in failures:
        if _at_once(failure):
            due.append((failure, 1))
        elif failure.bounce_class in POLICY:
            doubtful.setdefault(failure.publication_id, []).append(failure)
    for publication_id, here in doubtful.items():
        due += _enough(session, publication_id, here)
    # In one order everywhere, so that two workers never wait for each other's readers.
    due.sort(key=lambda pair: pair[0].subscriber_id)
    return sum(_give_up(session, failure, issues) for failure, issues in due)


def _at_once(failure: Failure) -> bool:
    if failure.kind is EventKind.COMPLAINED:
        return True
    rule = POLICY.get(failure.bounce_class)
    return rule is not None and (rule.issues == 1 or (failure.hard and rule.hard_issues == 1))


def _enough(session: Session, publication_id: int, failures: Sequence[Failure]) -> list[tuple[Failure, int]]:
    """Return those whose row of failed issues is long enough, with its length."""
    histories = _histories(session, publication_id, [failure.subscriber_id for failure in failures])
    found: list[tuple[Failure, int]] = []
    for failure in failures:
        run = consecutive(histories.get(failure.subscriber_id, ()), failure.bounce_class, at=clock.now())
        if reached(POLICY[failure.bounce_class], run):
            found.append((failure, len(run)))
    return found


def consecutive(history: Sequence[Past], bounce_class: BounceClass, *, at: dt.datetime) -> list[Past]:
    """Return the issues in a row, newest first, that failed in this way.

    Issues that say nothing about the address (still under way, skipped, refused or
    returned for the sender's fault) are passed over; one that arrived ends the row.
    """
    run: list[Past] = []
    for past in sorted(history, key=lambda past: past.send_id, reverse=True):
        if past.bounce_class is bounce_class:
            run.append(past)
        elif past.bounce_class is None and past.state is DeliveryState.ACCEPTED and at - past.started_at >= SETTLED:
            break
    return run


def reached(rule: Rule, run: Sequence[Past]) -> bool:
    """Tell whether a row of failed issues, newest first, is long enough."""
    if len(run) < rule.issues:
        return False
    return run[0].started_at - run[-1].started_at >= dt.timedelta(days=rule.days)


def _histories(session: Session, publication_id: int, subscriber_ids: Sequence[int]) -> dict[int, list[Past]]:
    sends = (
        select(Send.id, Send.started_at)
        .where(Send.publication_id == publication_id, Send.started_at.is_not(None))
        .order_by(Send.id.desc())
        .limit(LOOK_BACK)
    )
    started = {send_id: at for send_id, at in session.execute(sends) if at is not None}
    found: dict[tuple[int, int], Past] = {}
    bounced = (Event.send_id == Recipient.send_id) & (Event.seq == Recipient.seq) & (Event.kind == EventKind.BOUNCED)
    for send_id, begun in started.items():  # one index range each: recipients are unique by (send, subscriber)
        rows = session.execute(
            select(Recipient.subscriber_id, Delivery.state, Event.bounce_class)
            .join(Delivery, (Delivery.send_id == Recipient.send_id) & (Delivery.seq == Recipient.seq))
            .outerjoin(Event, bounced)
            .where(Recipient.send_id == send_id, Recipient.subscriber_id.in_(subscriber_ids))
            .order_by(Event.id)
        )
        for subscriber_id, state, bounce_class in rows:
            found[subscriber_id, send_id] = Past(send_id, begun, state, bounce_class)
    histories: dict[int, list[Past]] = {}
    for (subscriber_id, _), past in found.items():
        histories.setdefault(subscriber_id, []).append(past)
    return histories


def _give_up(session: Session, failure: Failure, issues: int) -> bool:
    """Stop mailing the reader; false when somebody or something had stopped it before."""
    if failure.bounce_class is BounceClass.OPT_OUT:
        reader = audience.Reader(failure.publication_id, failure.subscriber_id, failure.send_id)
        return audience.leave(session, reader, via="opt-out report").changed
    mark = audience.mark_complained if failure.kind is EventKind.COMPLAINED else audience.mark_bounced
    stopped = mark(session, failure.subscriber_id, evidence=evidence(failure, issues), event_id=failure.event_id)
    return stopped > 0


def evidence(failure: Failure, issues: int) -> str:
    """Say in one sentence for a person what happened and when."""
    day = f"{failure.at:%Y-%m-%d}"
    if failure.kind is EventKind.COMPLAINED:
        return f"The reader's mail provider passed on a spam complaint on {day}."
    said = f" “{failure.reply[:QUOTED]}”" if failure.reply else " without giving a reason"
    times = "" if issues == 1 else f" for the {_ordinal(issues)} issue in a row"
    return f"{_WHAT[failure.bounce_class]}{times}: on {day} the mail came back{said}."


_WHAT: Final[Mapping[BounceClass, str]] = {
    BounceClass.BAD_MAILBOX: "The address does not exist",
    BounceClass.BAD_DOMAIN: "The address's domain takes no mail",
    BounceClass.DISABLED: "The mailbox was disabled",
    BounceClass.MAILBOX_FULL: "The mailbox was full",
    BounceClass.REFUSED: "The mail was refused",
}


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number // 10 % 10 == 1 else ending}"
