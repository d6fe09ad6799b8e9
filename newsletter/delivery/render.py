"""The bytes one reader gets, without sending them.

Promise: for a reader of a send that has begun, exactly the message that is or was
sent; before that, exactly what would be sent if the issue were frozen now, with
marks that belong to no delivery. Nothing is kept: the caller may roll back.
"""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from newsletter import audience, editions, issues, publications
from newsletter.config import Settings
from newsletter.delivery.frames import letterhead, personalizer
from newsletter.delivery.models import Recipient, Send
from newsletter.delivery.personalize import Letterhead, Mail, Reader
from newsletter.errors import NotFound
from newsletter.kit import addresses, clock


def render_for(session: Session, settings: Settings, issue_id: int, address: str) -> bytes:
    """Return the whole message for ``address``, who need not be subscribed to see a preview."""
    sent = select(Recipient).join(Send, Recipient.send_id == Send.id).order_by(Send.id.desc()).limit(1)
    found = _mails(session, settings, sent.where(Send.issue_id == issue_id, Recipient.address == address))
    if found:
        return found[0].message
    issue = issues.get(session, issue_id)
    publication = publications.by_id(session, issue.publication_id)
    head = Letterhead(
        send_id=0,
        publication_id=publication.id,
        slug=publication.slug,
        sender=publication.from_address,
        bounce_domain=settings.bounce_domain or publication.from_address.rpartition("@")[2],
        started_at=clock.now().replace(microsecond=0),
    )
    compiled = editions.compose(issue, publication, settings.base_url).compiled
    return personalizer(settings, head, compiled).mail(_reader(session, address)).message


def first_mails(session: Session, settings: Settings, send_id: int, limit: int) -> list[Mail]:
    """Return the first ``limit`` messages of a send, with their envelopes."""
    whole = select(Recipient).where(Recipient.send_id == send_id)
    return _mails(session, settings, whole.order_by(Recipient.seq).limit(limit))


def _mails(session: Session, settings: Settings, chosen: Select[Recipient]) -> list[Mail]:
    """Make the messages of frozen recipients again."""
    mails, made = [], {}
    for row in session.scalars(chosen):
        if (row.send_id, row.edition_id) not in made:
            head = letterhead(session, settings, session.get_one(Send, row.send_id))
            compiled = editions.load(session, row.edition_id).compiled
            made[row.send_id, row.edition_id] = personalizer(settings, head, compiled)
        reader = Reader(
            row.seq, row.subscriber_id, row.address, row.first_name, row.last_name, row.attributes, row.tracking
        )
        mails.append(made[row.send_id, row.edition_id].mail(reader))
    return mails


def _reader(session: Session, address: str) -> Reader:
    """Return a subscriber as a freeze would take it; a stranger has an address and nothing else."""
    shown = addresses.parse(address).shown
    try:
        known = audience.show(session, address)
    except NotFound:
        return Reader(seq=0, subscriber_id=0, address=shown)
    return Reader(
        0, known.subscriber_id, known.email, known.first_name, known.last_name, known.attributes, known.tracking
    )
