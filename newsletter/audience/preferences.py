"""A reader's own page: which publications, under what name, with or without tracking.

Promise: it acts on the one subscriber that the link names. Switching a
publication on is a confirmation, since the link came to the reader's mailbox;
it never lifts a suppression that is not the reader's own wish.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from newsletter import publications
from newsletter.audience import fields, joining, leaving
from newsletter.audience.links import Reader
from newsletter.audience.models import Subscriber, Subscription, SubscriptionStatus
from newsletter.errors import BadToken
from newsletter.kit import clock
from newsletter.publications import Publication

VIA = "preferences"


@dataclass(frozen=True, slots=True)
class Choice:
    """One publication on the page; ``status`` is ``None`` for one never joined."""

    publication_id: int
    slug: str
    name: str
    tagline: str
    status: SubscriptionStatus | None
    paused_until: dt.datetime | None

    @property
    def on(self) -> bool:
        """Whether the switch stands on."""
        return self.status is SubscriptionStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the page shows, and what it came to after a change."""

    subscriber_id: int
    address: str
    first_name: str
    last_name: str
    tracking: bool
    choices: tuple[Choice, ...]


def preferences(session: Session, reader: Reader) -> Preferences:
    """Return a reader's preferences; ``BadToken`` if the reader was erased."""
    subscriber = session.get(Subscriber, reader.subscriber_id)
    if subscriber is None:
        raise BadToken
    rows = session.execute(
        select(
            Publication.id,
            Publication.slug,
            Publication.name,
            Publication.tagline,
            Subscription.status,
            Subscription.paused_until,
        )
        .outerjoin(
            Subscription,
            and_(Subscription.publication_id == Publication.id, Subscription.subscriber_id == subscriber.id),
        )
        .order_by(Publication.name, Publication.id)
    )
    moment = clock.now()
    return Preferences(
        subscriber_id=subscriber.id,
        address=subscriber.email,
        first_name=subscriber.first_name,
        last_name=subscriber.last_name,
        tracking=subscriber.tracking,
        choices=tuple(
            Choice(ident, slug, name, tagline, status, paused_until if paused_until and paused_until > moment else None)
            for ident, slug, name, tagline, status, paused_until in rows
        ),
    )


def set_preferences(
    session: Session,
    reader: Reader,
    *,
    first_name: str | None = None,
    last_name: str | None = None,
    tracking: bool | None = None,
    wanted: Mapping[int, bool] | None = None,
) -> Preferences:
    """Change what is given and leave the rest; ``wanted`` says for each publication's id whether it is.

    A switch that is left where it stood changes nothing: a subscription that waits
    for its confirmation, or that bounced, stays so when its reader mends a name.
    ``Refused`` if one is wanted whose mail was stopped for a bounce or a
    complaint; then nothing of the call is kept (the door rolls back).
    """
    subscriber = session.get(Subscriber, reader.subscriber_id)
    if subscriber is None:
        raise BadToken
    if first_name is not None:
        subscriber.first_name = fields.line(first_name, "first_name", fields.MAX_NAME)
    if last_name is not None:
        subscriber.last_name = fields.line(last_name, "last_name", fields.MAX_NAME)
    if tracking is not None:
        subscriber.tracking = tracking
    stand = {choice.publication_id: choice.on for choice in preferences(session, reader).choices}
    for publication_id, on in sorted((wanted or {}).items()):
        member = Reader(publication_id, subscriber.id, reader.send_id)
        if on == stand.get(publication_id):
            continue
        if on:
            _join(session, member, subscriber.address_hash)
        else:
            leaving.leave(session, member, via=VIA)
    session.flush()
    return preferences(session, reader)


def _join(session: Session, member: Reader, address_hash: str) -> None:
    publications.by_id(session, member.publication_id)  # NotFound, for a number that somebody typed into the form
    subscription = joining.membership(
        session,
        subscriber_id=member.subscriber_id,
        publication_id=member.publication_id,
        source=VIA,
        evidence="Asked for at the preference page.",
    )
    evidence = "Switched on at the preference page."
    joining.activate(session, subscription, address_hash, evidence=evidence, source=VIA)
