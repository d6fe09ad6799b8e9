"""Evidence that a delivery was accepted although no reply said so: a bounce, a click, the relay's own log.

Promise: only what is uncertain is settled, and, while its send is paused, what is
not on its way: after a backup was restored the relay knows better than the ledger.
Who is not named stays as he is. What counted as evidence is kept with the delivery.
It takes a session and does not commit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.orm import Session

from newsletter.config import Settings
from newsletter.db import now
from newsletter.delivery.frames import letterhead
from newsletter.delivery.models import Delivery, DeliveryState, Recipient, Send, SendState
from newsletter.delivery.statements import MAX_REPLY
from newsletter.delivery.tracking import Marks
from newsletter.errors import NotFound

# What Postfix writes: "… postfix/cleanup[7]: 4bX1yZ: message-id=<id@domain>", later with the same queue id …
_ENTRY: Final = re.compile(r"\]: (?P<queue>[0-9A-Za-z]{5,}): (?P<what>.*)")
_NAMED: Final = re.compile(r"message-id=<?([^<>\s]+)>?")
# … that the mail is in its queue, or what became of it. Before that the client may have hung up.
_TAKEN: Final = re.compile(r"\(queue active\)|\bstatus=")
_ALONE: Final = re.compile(r"\s*<?([^<>\s]+@[^<>\s]+)>?\s*")  # a line that is a Message-ID and nothing else


def settle(session: Session | Connection, send_id: int, seqs: Collection[int], *, evidence: str) -> int:
    """Note evidence that deliveries were accepted; return how many of them were uncertain and are no more."""
    statement = (
        update(Delivery)
        .where(Delivery.send_id == send_id, Delivery.seq.in_(list(seqs)), Delivery.state == DeliveryState.UNCERTAIN)
        .values(state=DeliveryState.ACCEPTED, outcome_at=now(), reply=f"evidence: {evidence}"[:MAX_REPLY])
        .returning(Delivery.seq)
        .execution_options(synchronize_session=False)
    )
    return len(session.execute(statement).all())


def settle_by_log(session: Session, settings: Settings, send_id: int, lines: Iterable[str]) -> int:
    """Settle the deliveries whose Message-ID the relay's log says it took; return how many.

    ``lines`` are a Postfix log, or Message-IDs, one a line. ``NotFound`` if there is no such send.
    """
    send = session.get(Send, send_id)
    if send is None:
        raise NotFound(f"There is no send with the id {send_id}.")
    domain = letterhead(session, settings, send).sender.rpartition("@")[2]
    named = taken(lines, domain)
    waiting = (DeliveryState.PENDING, DeliveryState.DEFERRED) if send.state is SendState.PAUSED else ()
    doubtful = or_(*(Delivery.state == state for state in (DeliveryState.UNCERTAIN, *waiting)))
    marks = Marks(settings.secret)
    open_rows = (
        select(Recipient.seq, Recipient.subscriber_id)
        .join(Delivery, (Delivery.send_id == Recipient.send_id) & (Delivery.seq == Recipient.seq))
        .where(Recipient.send_id == send_id, doubtful)
    )
    found = [
        {"its_seq": seq, "evidence": f"evidence: {line}"[:MAX_REPLY]}
        for seq, subscriber_id in session.execute(open_rows)
        if (line := named.get(marks.message_id(send_id, subscriber_id, domain)))
    ]
    if found:
        session.connection().execute(
            update(Delivery)
            .where(Delivery.send_id == send_id, Delivery.seq == bindparam("its_seq"), doubtful)
            .values(state=DeliveryState.ACCEPTED, not_before=None, outcome_at=now(), reply=bindparam("evidence")),
            found,
        )
    return len(found)


def taken(lines: Iterable[str], domain: str) -> dict[str, str]:
    """Return the Message-IDs under ``domain`` that the relay took, each with the last line that says so."""
    ending = f"@{domain}"
    ids: dict[str, str] = {}  # by queue id
    found: dict[str, str] = {}
    for line in lines:
        if alone := _ALONE.fullmatch(line):
            if alone[1].endswith(ending):
                found[alone[1]] = line.strip()
            continue
        entry = _ENTRY.search(line)
        if entry is None:
            continue
        if (name := _NAMED.match(entry["what"])) and name[1].endswith(ending):
            ids[entry["queue"]] = name[1]
        elif entry["queue"] in ids and _TAKEN.search(entry["what"]):
            found[ids[entry["queue"]]] = line.strip()
    return found
