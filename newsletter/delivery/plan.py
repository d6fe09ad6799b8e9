"""Beginning a send: once, however often it is asked for, and with everything frozen.

Promise: one issue goes to one audience once; a second ``start`` finds the first
send. ``begin_due`` freezes the edition and the audience in one transaction, so a
crash leaves the send scheduled and nothing else; of many who try at once one
succeeds. What may not be sent (an issue nobody approved, an empty audience, no
relay) is not begun, and the send says why.
"""

from __future__ import annotations

import datetime as dt
import logging
from functools import partial
from typing import Final

from sqlalchemy import Integer, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter import audience, editions, issues
from newsletter.config import Settings
from newsletter.db import Database, after_commit, later, now
from newsletter.delivery import states
from newsletter.delivery.models import Delivery, DeliveryState, MailboxDomain, Recipient, Send, SendState
from newsletter.delivery.pace.mailboxes import domain_of, lane_of
from newsletter.delivery.queries import SendStatus, status
from newsletter.delivery.restoration import notice
from newsletter.delivery.transports.relays import parse_all
from newsletter.errors import NewsletterError, Refused
from newsletter.issues import IssueState, IssueView
from newsletter.kit import clock
from newsletter.kit.wake import wake

log = logging.getLogger(__name__)

ALL: Final = "all"  # the audience of everybody eligible
READY: Final = (IssueState.APPROVED, IssueState.SCHEDULED, IssueState.MISSED)


def start(
    session: Session, issue_id: int, *, at: dt.datetime | None = None, by: str, settings: Settings | None = None
) -> SendStatus:
    """Schedule an approved issue for ``at`` (default: now) and return its send; a second call returns the first.

    With ``settings`` a missing relay (``ConfigError``) and what preflight blocks
    (``Refused``) are said at once, instead of by the send when it is due. A send that
    was missed, or called off before it began, is scheduled again.
    """
    found = session.scalar(select(Send).where(Send.issue_id == issue_id, Send.audience_key == ALL))
    if found is not None and not _can_begin_again(found):
        return status(session, found.id)
    issue = issues.get(session, issue_id)
    _check(session, issue, settings)
    send_id = _scheduled(session, issue, at, by)
    if send_id is not None:
        if issue.state is not IssueState.SCHEDULED:
            issues.transition(session, issue_id, IssueState.SCHEDULED)
        after_commit(session, partial(wake, "deliver", send_id))
    else:  # somebody else was a moment faster
        send_id = session.scalars(select(Send.id).where(Send.issue_id == issue_id, Send.audience_key == ALL)).one()
    return status(session, send_id)


def _check(session: Session, issue: IssueView, settings: Settings | None) -> None:
    """Refuse an issue that is not approved as it stands and, knowing the settings, all that would stop it later."""
    if issue.state not in READY:
        raise Refused(f"No. {issue.number} is {issue.state}; approve it before it is sent.")
    if issues.content_hash(issue) != issue.approved_hash:
        raise Refused(f"No. {issue.number} has changed since it was approved; look at it and approve it again.")
    if settings is None:
        return
    parse_all(settings.smtp_url)
    for finding in editions.preflight(session, issue.id, settings):
        if finding.level == "block":
            raise Refused(f"No. {issue.number} cannot be sent: {finding.reason}")


def _can_begin_again(send: Send) -> bool:
    return SendState.SCHEDULED in states.SEND[send.state] and send.edition_id is None


def _scheduled(session: Session, issue: IssueView, at: dt.datetime | None, by: str) -> int | None:
    """Insert the send, or revive one that never began; None if another did so first."""
    values = {"state": SendState.SCHEDULED, "send_at": at or now(), "asked_by": by, "problem": ""}
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    made: int | None = session.scalar(
        dialect.insert(Send)
        .values(
            issue_id=issue.id, publication_id=issue.publication_id, audience_key=ALL, created_at=clock.now(), **values
        )
        .on_conflict_do_nothing()
        .returning(Send.id)
    )
    if made is not None:
        return made
    revivable = (Send.state.in_(states.sources(states.SEND, SendState.SCHEDULED)), Send.edition_id.is_(None))
    return session.scalar(
        update(Send)
        .where(Send.issue_id == issue.id, Send.audience_key == ALL, *revivable)
        .values(finished_at=None, **values)
        .returning(Send.id)
    )


def begin_due(database: Database, settings: Settings) -> list[int]:
    """Begin every scheduled send that is due and return their ids; one that is past its grace is ``missed``.

    None begins on a database that went back in time (see ``restoration``). Opens its own transactions,
    one for each send. What keeps a send from beginning is written to its ``problem`` and tried again until
    its grace is over.
    """
    if notice(database, settings.data_dir):
        return []
    _miss(database)
    with database.read() as session:
        due = session.scalars(
            select(Send.id).where(Send.state == SendState.SCHEDULED, Send.send_at <= now()).order_by(Send.id)
        ).all()
    return [send_id for send_id in due if _begin(database, settings, send_id)]


def _miss(database: Database) -> None:
    """Give up sends whose hour is long past: a person must say whether they still make sense."""
    with database.read() as session:
        late = session.scalars(
            select(Send.id).where(Send.state == SendState.SCHEDULED, Send.send_at < later(-Send.grace_seconds))
        ).all()
    for send_id in late:
        with database.transaction() as session:
            issue_id = session.scalar(
                update(Send)
                .where(Send.id == send_id, Send.state.in_(states.sources(states.SEND, SendState.MISSED)))
                .values(state=SendState.MISSED)
                .returning(Send.issue_id)
            )
            if issue_id is not None and issues.get(session, issue_id).state is IssueState.SCHEDULED:
                issues.transition(session, issue_id, IssueState.MISSED)


def _begin(database: Database, settings: Settings, send_id: int) -> bool:
    try:
        with database.transaction() as session:
            begun = _freeze(session, settings, send_id)
    except NewsletterError as error:
        log.warning("send %d cannot begin: %s", send_id, error.message)
        with database.transaction() as session:
            session.execute(
                update(Send).where(Send.id == send_id, Send.state == SendState.SCHEDULED).values(problem=error.message)
            )
        return False
    if begun:
        wake("deliver", send_id)
    return begun


def _freeze(session: Session, settings: Settings, send_id: int) -> bool:
    """Freeze one send in the caller's transaction; False if another process did."""
    issue_id = session.scalar(
        update(Send)
        .where(Send.id == send_id, Send.state.in_(states.sources(states.SEND, SendState.FREEZING)))
        .values(state=SendState.FREEZING)
        .returning(Send.issue_id)
    )
    if issue_id is None:
        return False
    issue = issues.get(session, issue_id)
    _check(session, issue, settings)
    edition = editions.freeze(session, issue_id, base_url=settings.base_url)
    size = _freeze_audience(session, send_id, issue.publication_id, edition.id)
    if not size:
        raise Refused("Nobody is subscribed: the audience is empty.")
    issues.transition(session, issue_id, IssueState.SENDING)
    session.execute(
        update(Send)
        .where(Send.id == send_id)
        .values(state=SendState.SENDING, edition_id=edition.id, audience=size, started_at=now(), problem="")
    )
    return True


def _freeze_audience(session: Session, send_id: int, publication_id: int, edition_id: int) -> int:
    """Copy everybody eligible into ``recipients`` and the ledger; return how many."""
    people = audience.eligible(publication_id).order_by(None).subquery("people")
    seq = func.row_number().over(order_by=people.c.subscriber_id).cast(Integer)
    columns = ("subscriber_id", "address", "first_name", "last_name", "attributes", "tracking")
    session.execute(
        insert(Recipient).from_select(
            ["send_id", "seq", "edition_id", *columns],
            select(literal(send_id), seq, literal(edition_id), *(people.c[name] for name in columns)),
        )
    )
    dialect = session.get_bind().dialect.name
    domain = domain_of(Recipient.address.expression, dialect)
    pending = (literal(DeliveryState.PENDING.value), literal(0), literal(0))
    session.execute(
        insert(Delivery).from_select(
            ["send_id", "seq", "state", "epoch", "attempt", "lane"],
            select(Recipient.send_id, Recipient.seq, *pending, lane_of(domain))
            .outerjoin(MailboxDomain, MailboxDomain.domain == domain)
            .where(Recipient.send_id == send_id)
            .order_by(Recipient.seq),
        )
    )
    if dialect == "postgresql":
        # Without fresh figures the planner scans the whole ledger for every claim.
        session.execute(text("ANALYZE recipients, deliveries"))
    return session.scalars(select(func.count()).where(Delivery.send_id == send_id)).one()
