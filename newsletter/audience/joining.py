"""How a subscription begins and how it becomes active: what the form's and the preference page's ways share.

Promise: nobody becomes active whose mail was stopped for a reason other than
their own wish, and whoever becomes active leaves the dated proof of it.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from newsletter.audience import consents, statuses, suppression
from newsletter.audience.models import ConsentKind, Subscription, SubscriptionStatus
from newsletter.errors import Refused
from newsletter.kit import clock


def membership(
    session: Session, *, subscriber_id: int, publication_id: int, source: str, evidence: str
) -> Subscription:
    """Return the subscription, locked; begun as pending where there was none."""
    mine = (Subscription.subscriber_id == subscriber_id, Subscription.publication_id == publication_id)
    if found := statuses.locked(session, *mine):
        return found[0]
    return statuses.begin(
        session,
        subscriber_id=subscriber_id,
        publication_id=publication_id,
        status=SubscriptionStatus.PENDING,
        source=source,
        evidence=evidence,
    )


def activate(
    session: Session,
    subscription: Subscription,
    address_hash: str,
    *,
    evidence: str,
    source: str,
    network_hash: str = "",
) -> None:
    """Make a locked subscription active on the word of its mailbox's owner, or raise ``Refused``."""
    if suppression.against_wish(session, address_hash, subscription.publication_id):
        raise Refused("Mail to this address was stopped; please write to the editors if you want it again.")
    suppression.take_back(session, address_hash, subscription.publication_id)
    statuses.change(
        session,
        subscription,
        SubscriptionStatus.ACTIVE,
        evidence=evidence,
        confirmed_at=clock.now(),
        left_at=None,
        left_reason="",
        paused_until=None,
    )
    consents.record(
        session,
        ConsentKind.CONFIRMED,
        subscriber_id=subscription.subscriber_id,
        publication_id=subscription.publication_id,
        source=source,
        wording=consents.wording_asked(session, subscription.subscriber_id, subscription.publication_id),
        network_hash=network_hash,
    )
