"""Tables of the events room: dated facts about deliveries, and the messages they came in."""

from __future__ import annotations

import datetime as dt
import enum

from sqlalchemy import Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Base, BigId, Id, word


class EventKind(enum.StrEnum):
    """What happened (the words of docs/language.md)."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    AUTORESPONDED = "autoresponded"
    UNKNOWN = "unknown"


class BounceClass(enum.StrEnum):
    """Whose fault a bounce is; the last two change nothing."""

    BAD_MAILBOX = "bad_mailbox"
    BAD_DOMAIN = "bad_domain"
    DISABLED = "disabled"
    MAILBOX_FULL = "mailbox_full"
    REFUSED = "refused"
    BLOCK_AUTH = "block_auth"
    BLOCK_REPUTATION = "block_reputation"
    CONTENT = "content"
    TRANSIENT = "transient"
    COMPLAINT = "complaint"
    OPT_OUT = "opt_out"
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"


class Verdict(enum.StrEnum):
    """Who seems to have opened or clicked."""

    HUMAN = "human"
    PREFETCH = "prefetch"
    PROXY = "proxy"
    SCANNER = "scanner"


class Outcome(enum.StrEnum):
    """What became of a message that came in."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"
    UNSUBSCRIBE = "unsubscribe"  # a mailed request (RFC 2369)
    REPLY = "reply"  # a person's words, or anything else that is no report
    FORGED = "forged"  # names a delivery with a token that we did not sign; changes nothing
    UNNAMED = "unnamed"  # a report about no delivery of ours; changes nothing
    UNREAD = "unread"  # not judged, or the judging failed


class Event(Base):
    """One dated fact about one delivery. Only ``verdict`` ever changes, when later clicks show a machine."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_send_kind", "send_id", "kind", "seq"),
        Index("ix_events_subscriber", "subscriber_id", "id"),
        Index("uq_events_origin", "origin", unique=True),
    )

    id: Mapped[Id]
    at: Mapped[dt.datetime]
    kind: Mapped[EventKind] = mapped_column(word(EventKind))
    send_id: Mapped[int | None] = mapped_column(BigId)
    seq: Mapped[int | None] = mapped_column(Integer)
    subscriber_id: Mapped[int | None] = mapped_column(BigId)
    bounce_class: Mapped[BounceClass | None] = mapped_column(word(BounceClass))
    hard: Mapped[bool] = mapped_column(default=False)  # the address itself is dead
    link: Mapped[int | None] = mapped_column(Integer)  # edition_links.n
    verdict: Mapped[Verdict | None] = mapped_column(word(Verdict))
    detail: Mapped[str] = mapped_column(Text, default="")  # reply text, reason given
    # What makes a repeated report one event: "rcpt:<send>:<seq>:<attempt>", "ses:<event id>"; null for most clicks.
    origin: Mapped[str | None] = mapped_column(String(200))
    intake_id: Mapped[int | None] = mapped_column(BigId)


class IntakeMessage(Base):
    """One returned mail or webhook body as it came, kept before it is judged."""

    __tablename__ = "intake_messages"

    id: Mapped[Id]
    received_at: Mapped[dt.datetime]
    channel: Mapped[str] = mapped_column(String(40))  # lmtp, imap, webhook:<provider>
    envelope_to: Mapped[str] = mapped_column(String(500), default="")
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)  # of envelope_to and raw: the same mail once
    outcome: Mapped[Outcome] = mapped_column(word(Outcome), default=Outcome.UNREAD)
    judged_at: Mapped[dt.datetime | None]
