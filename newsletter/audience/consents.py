"""The dated proof of what a person asked for and gave up.

Promise: rows are only added. A network address is kept as a keyed hash alone,
which answers "the same network?" and not "which one?".
"""

from __future__ import annotations

import ipaddress

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.models import Consent, ConsentKind
from newsletter.kit import clock
from newsletter.kit.addresses import keyed_hash

IPV6_HOUSEHOLD = 64  # one customer has at least a /64 and may use any address in it


def record(
    session: Session,
    kind: ConsentKind,
    *,
    subscriber_id: int,
    publication_id: int,
    source: str,
    wording: str = "",
    network_hash: str = "",
) -> None:
    """Add one row of proof."""
    session.add(
        Consent(
            subscriber_id=subscriber_id,
            publication_id=publication_id,
            at=clock.now(),
            kind=kind,
            source=source,
            wording=wording,
            network_hash=network_hash,
        )
    )


def wording_asked(session: Session, subscriber_id: int, publication_id: int) -> str:
    """Return the version of the text under which the person last asked."""
    statement = (
        select(Consent.wording)
        .where(
            Consent.subscriber_id == subscriber_id,
            Consent.publication_id == publication_id,
            Consent.kind == ConsentKind.ASKED,
        )
        .order_by(Consent.id.desc())
    )
    return session.scalars(statement).first() or ""


def hash_of_network(secret: bytes, network: str) -> str:
    """Return the keyed hash of an IPv4 address or of an IPv6 address's /64; empty for anything else."""
    try:
        address = ipaddress.ip_address(network)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return keyed_hash(secret, f"network {address.ipv4_mapped}")
        return keyed_hash(secret, f"network {ipaddress.ip_network((address.packed, IPV6_HOUSEHOLD), strict=False)}")
    return keyed_hash(secret, f"network {address}")
