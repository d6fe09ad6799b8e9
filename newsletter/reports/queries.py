"""SELECTs of the reports room: counts over the ledger and the events, a few statements whatever the size.

Promise: reads only. A copy is one (send, seq); people are counted by copies, so
ten opens of one copy are one. Hits of nobody count as clicks and as no reader.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from newsletter.delivery.models import Delivery, DeliveryState, Recipient, Send
from newsletter.editions.models import EditionLink
from newsletter.events import BounceClass, EventKind, Verdict
from newsletter.events.models import Event
from newsletter.reports.rows import Provider, Reach, StoryClicks

# Google fetches a picture through its proxy when the reader opens the mail; no proxy clicks.
BY_A_PERSON: ColumnElement[bool] = or_(
    Event.verdict == Verdict.HUMAN, and_(Event.kind == EventKind.OPENED, Event.verdict == Verdict.PROXY)
)


def sends(session: Session, issue_ids: Sequence[int]) -> list[Send]:
    """Return the sends of some issues, oldest first."""
    return list(session.scalars(select(Send).where(Send.issue_id.in_(issue_ids)).order_by(Send.id)))


def states(session: Session, send_ids: Sequence[int]) -> dict[DeliveryState, int]:
    """Return how many deliveries stand in each state; every state is there."""
    counted = select(Delivery.state, func.count()).where(Delivery.send_id.in_(send_ids)).group_by(Delivery.state)
    found = dict(session.execute(counted).all())
    return {state: found.get(state, 0) for state in DeliveryState}


def heard(session: Session, send_ids: Sequence[int]) -> dict[tuple[int, EventKind], Reach]:
    """Return by send and kind of event how many copies were heard of."""
    rows = session.execute(
        select(
            Event.send_id,
            Event.kind,
            func.count(case((BY_A_PERSON, Event.seq)).distinct()),
            func.count(Event.seq.distinct()),
        )
        .where(Event.send_id.in_(send_ids))
        .group_by(Event.send_id, Event.kind)
    )
    return {(send_id, kind): Reach(human, raw) for send_id, kind, human, raw in rows if send_id is not None}


def bounces(session: Session, send_ids: Sequence[int]) -> dict[BounceClass, int]:
    """Return how many deliveries bounced, by the class of the last bounce of each."""
    last = (
        select(func.max(Event.id).label("id"))
        .where(Event.send_id.in_(send_ids), Event.kind == EventKind.BOUNCED)
        .group_by(Event.send_id, Event.seq)
        .subquery()
    )
    rows = session.execute(
        select(Event.bounce_class, func.count()).join(last, last.c.id == Event.id).group_by(Event.bounce_class)
    )
    found = {bounce_class: count for bounce_class, count in rows if bounce_class is not None}
    return {bounce_class: found[bounce_class] for bounce_class in BounceClass if bounce_class in found}


def clicks(session: Session, send_ids: Sequence[int]) -> list[StoryClicks]:
    """Return the clicks by story, most readers first, under the link's words; a link without a story stands alone."""
    by_person = Event.verdict == Verdict.HUMAN
    story = func.coalesce(EditionLink.article_id, -EditionLink.n)
    readers = func.count(case((by_person, Event.seq)).distinct())
    total = func.count(case((by_person, Event.id)))
    rows = session.execute(
        select(
            func.max(EditionLink.article_id),
            func.min(EditionLink.label),
            func.min(EditionLink.url),
            readers,
            func.count(Event.seq.distinct()),
            total,
        )
        .join(Send, Send.id == Event.send_id)
        .join(EditionLink, and_(EditionLink.edition_id == Send.edition_id, EditionLink.n == Event.link))
        .where(Event.send_id.in_(send_ids), Event.kind == EventKind.CLICKED)
        .group_by(story)
        .order_by(readers.desc(), total.desc(), story)
    )
    return [StoryClicks(*row) for row in rows]


def providers(session: Session, send_ids: Sequence[int], limit: int) -> list[Provider]:
    """Return the mailbox providers with most readers."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    at = func.strpos(Recipient.address, "@") if postgresql else func.instr(Recipient.address, "@")
    domain = func.substr(Recipient.address, at + 1)
    size = func.count()
    rows = session.execute(
        select(
            domain.label("domain"),
            size,
            func.count(case((Delivery.state == DeliveryState.ACCEPTED, 1))),
            func.count(case((Delivery.state == DeliveryState.REFUSED, 1))),
        )
        .join(Delivery, and_(Delivery.send_id == Recipient.send_id, Delivery.seq == Recipient.seq))
        .where(Recipient.send_id.in_(send_ids))
        .group_by("domain")
        .order_by(size.desc(), "domain")
        .limit(limit)
    )
    return [Provider(*row) for row in rows]
