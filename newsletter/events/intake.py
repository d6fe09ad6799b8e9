"""Takes in one mail that came back: keeps it, judges it, lets it have its consequences.

Promise: the message is stored before it is judged, and stays stored as ``unread``
if judging fails; the same message again changes nothing. A reader's record
changes only when one of our signed tokens names the delivery (threat T22): the
return path that it came to, or that of the returned original. The caller commits
and only then says 250. At most ``MAX_KEPT`` bytes are kept: reports begin with
what matters.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter import audience
from newsletter.config import Settings
from newsletter.delivery import settle
from newsletter.delivery.models import Recipient, Send
from newsletter.errors import BadToken
from newsletter.events import arf, bounces, mime, policy, record, verp
from newsletter.events.explanation import Explanation, Kind, Report
from newsletter.events.models import BounceClass, EventKind, IntakeMessage, Outcome
from newsletter.kit import clock

log = logging.getLogger(__name__)

MAX_KEPT: Final = 1024 * 1024
MAX_ADDRESS: Final = 500

_UNSUBSCRIBE = re.compile(r"\s*(?:re:\s*)?unsubscribe\s*", re.IGNORECASE)
_LEAVE = re.compile(r"/u/([A-Za-z0-9_-]{16,120})")
_KINDS: Final = {
    Kind.BOUNCE: (Outcome.BOUNCE, EventKind.BOUNCED),
    Kind.COMPLAINT: (Outcome.COMPLAINT, EventKind.COMPLAINED),
    Kind.AUTO_REPLY: (Outcome.AUTO_REPLY, EventKind.AUTORESPONDED),
    Kind.DELIVERED: (Outcome.DELIVERED, EventKind.DELIVERED),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message; ``again`` when the very same one had come before."""

    intake_id: int
    outcome: Outcome
    again: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """The delivery that a message is about."""

    send_id: int
    seq: int
    subscriber_id: int
    publication_id: int
    address: str


def take(session: Session, settings: Settings, *, channel: str, envelope_to: str, raw: bytes) -> Taken:
    """Keep one message and judge it.

    Args:
        session: the caller's transaction; nothing is durable before it is committed.
        settings: for the key that our tokens are signed with.
        channel: where it came from: ``lmtp``, ``pipe``.
        envelope_to: the address that it was delivered to (RCPT TO), empty if unknown.
        raw: the message as it came.
    """
    kept, again = _keep(session, channel, envelope_to[:MAX_ADDRESS], raw[:MAX_KEPT])
    if again:
        return Taken(kept.id, kept.outcome, again=True)
    outcome = Outcome.UNREAD
    try:
        with session.begin_nested():
            outcome = _judge(session, settings, kept.id, envelope_to, raw[:MAX_KEPT])
            session.execute(
                update(IntakeMessage).where(IntakeMessage.id == kept.id).values(outcome=outcome, judged_at=clock.now())
            )
    except Exception:
        log.exception("intake message %s could not be judged and is kept", kept.id)
        outcome = Outcome.UNREAD
    return Taken(kept.id, outcome)


@dataclass(frozen=True, slots=True)
class _Kept:
    id: int
    outcome: Outcome


def _keep(session: Session, channel: str, envelope_to: str, raw: bytes) -> tuple[_Kept, bool]:
    digest = hashlib.sha256(envelope_to.lower().encode() + b"\0" + raw).hexdigest()
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    new = session.scalar(
        insert(IntakeMessage)
        .values(
            received_at=clock.now(),
            channel=channel,
            envelope_to=envelope_to,
            raw=raw,
            sha256=digest,
            outcome=Outcome.UNREAD,
        )
        .on_conflict_do_nothing(index_elements=["sha256"])
        .returning(IntakeMessage.id)
    )
    if new is not None:
        return _Kept(new, Outcome.UNREAD), False
    ident, outcome = session.execute(
        select(IntakeMessage.id, IntakeMessage.outcome).where(IntakeMessage.sha256 == digest)
    ).one()
    return _Kept(ident, outcome), True


def _judge(session: Session, settings: Settings, intake_id: int, envelope_to: str, raw: bytes) -> Outcome:
    message = mime.read(raw)
    explanation = bounces.explain_message(message)
    wants_to_leave = explanation.kind in (Kind.NOT_A_REPORT, Kind.AUTO_REPLY) and _UNSUBSCRIBE.fullmatch(
        message.words("subject")[:60]
    )
    if explanation.kind is Kind.NOT_A_REPORT and not wants_to_leave:
        return Outcome.REPLY
    try:
        named = _named(session, settings, message, envelope_to)
    except BadToken:
        return Outcome.FORGED
    if named is None:
        return Outcome.UNNAMED
    if wants_to_leave:
        reader = audience.Reader(named.publication_id, named.subscriber_id, named.send_id)
        if audience.leave(session, reader, via="mailto").changed:
            record.unsubscribed(session, reader, via="mailto")
        return Outcome.UNSUBSCRIBE
    outcome, kind = _KINDS[explanation.kind]
    _write(session, intake_id, named, kind, _report_about(named, explanation), _fingerprint(message, raw))
    return outcome


def _named(session: Session, settings: Settings, message: mime.Part, envelope_to: str) -> Named | None:
    """Find the delivery by our tokens; raise ``BadToken`` when all there are were not signed by us."""
    forged = False
    for text in _token_places(message, envelope_to):
        try:
            if verp.has_token(text):
                return _delivery(session, verp.parse(settings.secret, text))
            if leave := _LEAVE.search(text):
                reader = audience.Links(settings.base_url, settings.secret).open_leave(leave[1])
                return _delivery_of(session, reader)
        except BadToken:
            forged = True
    if forged:
        raise BadToken
    return None


def _token_places(message: mime.Part, envelope_to: str) -> list[str]:
    """Return the texts that may hold a token of ours: where it was sent to, then the returned original."""
    places = [envelope_to]
    places += [message.get(name) for name in ("delivered-to", "x-original-to", "envelope-to", "to")]
    original = bounces.original_fields(message)
    for wanted in ("return-path", "list-unsubscribe"):
        places += [value for name, value in original if name == wanted]
    return [place for place in places if place]


def _delivery(session: Session, key: verp.DeliveryKey) -> Named | None:
    return _first_named(session, Recipient.send_id == key.send_id, Recipient.seq == key.seq)


def _delivery_of(session: Session, reader: audience.Reader) -> Named | None:
    return _first_named(session, Recipient.send_id == reader.send_id, Recipient.subscriber_id == reader.subscriber_id)


def _first_named(session: Session, *conditions: ColumnElement[bool]) -> Named | None:
    row = session.execute(
        select(Recipient.send_id, Recipient.seq, Recipient.subscriber_id, Send.publication_id, Recipient.address)
        .join(Send, Send.id == Recipient.send_id)
        .where(*conditions)
    ).first()
    return None if row is None else Named(*row)


def _report_about(named: Named, explanation: Explanation) -> Report:
    """Return the report about the reader; where none names the address, the one that costs the reader least."""
    mine = [r for r in explanation.reports if (r.recipient or "").lower() == named.address.lower()]
    return min(mine or explanation.reports, key=lambda r: (r.hard, r.bounce_class in policy.POLICY))


def _fingerprint(message: mime.Part, raw: bytes) -> str:
    """Return what stays the same when a mail server delivers the same report twice."""
    ident = message.get("message-id")
    return hashlib.sha256(ident.encode() if ident else raw).hexdigest()[:24]


def _write(session: Session, intake_id: int, named: Named, kind: EventKind, report: Report, fingerprint: str) -> None:
    if report.feedback in arf.ABOUT_US:
        kind = EventKind.UNKNOWN  # about our signatures, or in our favour: no reader complained
    fact = record.Fact(
        kind,
        clock.now(),
        send_id=named.send_id,
        seq=named.seq,
        subscriber_id=named.subscriber_id,
        bounce_class=report.bounce_class if kind in (EventKind.BOUNCED, EventKind.COMPLAINED) else None,
        hard=report.hard,
        detail=report.reply or "",
        origin=f"report:{named.send_id}:{named.seq}:{fingerprint}",
        intake_id=intake_id,
    )
    new = record.write(session, [fact])
    # Whatever comes back, good or bad, shows that the relay had taken the mail.
    settle(session, named.send_id, [named.seq], evidence=f"{kind}: {report.reply or 'a report came back'}")
    if not new or fact.bounce_class is None:
        return
    failure = policy.Failure(
        event_id=next(iter(new.values())),
        at=fact.at,
        kind=kind,
        send_id=named.send_id,
        publication_id=named.publication_id,
        subscriber_id=named.subscriber_id,
        bounce_class=fact.bounce_class,
        hard=fact.hard,
        reply=fact.detail,
    )
    policy.apply(session, [failure])
    if fact.bounce_class is BounceClass.OPT_OUT:
        reader = audience.Reader(named.publication_id, named.subscriber_id, named.send_id)
        record.unsubscribed(session, reader, via="opt-out report")
