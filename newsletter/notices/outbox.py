"""Putting notices into the outbox, one function for each occasion.

Promise: a notice is a row in the transaction that causes it, so that neither can
happen without the other; a worker is woken after the commit. What a stranger
typed into a form never becomes a fact of a notice. Nothing here sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter.audience import Asked, Confirmed, Links, Outcome
from newsletter.db import after_commit
from newsletter.editions.render import renderer
from newsletter.kit import addresses, clock
from newsletter.kit.wake import wake
from newsletter.notices.letters import FOLDER
from newsletter.notices.models import Notice

TOPIC = "notices"


def queue(
    session: Session,
    *,
    kind: str,
    to: str,
    publication_id: int | None,
    facts: Mapping[str, str],
    about: str | None = None,
) -> int | None:
    """Put a notice into the outbox; return its id, or ``None`` if ``about`` was told to this address before.

    ``kind`` names a folder under templates/email/notices/; ``facts`` are all that
    its templates name. ``ValueError`` for a kind without templates.
    """
    if not renderer().has(f"{FOLDER}/{kind}/body.html"):
        msg = f"there is no notice {kind}"
        raise ValueError(msg)
    moment = clock.now()
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = (
        insert(Notice)
        .values(
            kind=kind,
            publication_id=publication_id,
            to_address=addresses.parse(to).shown,
            facts=dict(facts),
            about=about,
            not_before=moment,
            created_at=moment,
        )
        .on_conflict_do_nothing()
        .returning(Notice.id)
    )
    notice_id = session.scalar(statement)
    if notice_id is not None:
        after_commit(session, partial(wake, TOPIC))
    return notice_id


def answer_sign_up(session: Session, asked: Asked, *, links: Links) -> int | None:
    """Write to the owner of an address that was entered at a form: what to confirm, or that nothing is needed.

    A suppressed address, or one that was written to enough, gets nothing.
    """
    if asked.outcome is Outcome.CONFIRM:
        assert asked.subscription_id is not None
        assert asked.expires_at is not None
        facts = {"confirm_url": links.confirm_url(asked.subscription_id, asked.expires_at)}
    elif asked.outcome is Outcome.ALREADY:
        assert asked.subscriber_id is not None
        facts = {"preferences_url": links.preferences_url(asked.publication_id, asked.subscriber_id)}
    else:
        return None
    kind = {Outcome.CONFIRM: "confirm", Outcome.ALREADY: "already_subscribed"}[asked.outcome]
    return queue(session, kind=kind, to=asked.address, publication_id=asked.publication_id, facts=facts)


def welcome(session: Session, confirmed: Confirmed, *, links: Links, latest_url: str = "") -> int | None:
    """Greet a reader whose subscription has just become active; ``latest_url`` leads to the latest issue, if any."""
    if not confirmed.changed:
        return None
    reader = (confirmed.publication_id, confirmed.subscriber_id)
    facts = {
        "latest_url": latest_url,
        "preferences_url": links.preferences_url(*reader),
        "leave_url": links.leave_url(*reader),
    }
    to = confirmed.address
    return queue(session, kind="welcome", to=to, publication_id=confirmed.publication_id, facts=facts)


def staff_link(session: Session, *, to: str, sign_in_url: str) -> int | None:
    """Send a colleague the link that signs them in once."""
    return queue(session, kind="staff_link", to=to, publication_id=None, facts={"sign_in_url": sign_in_url})


def forget(session: Session, address: str) -> int:
    """Delete every notice to an address, sent or not, when its owner is erased; return how many there were."""
    mine = addresses.parse(address)
    same_domain = Notice.to_address.endswith(f"@{mine.domain}", autoescape=True)
    theirs = [
        ident
        for ident, to in session.execute(select(Notice.id, Notice.to_address).where(same_domain))
        if addresses.parse(to).normal == mine.normal
    ]
    session.execute(delete(Notice).where(Notice.id.in_(theirs)))
    return len(theirs)
