"""Sends that are over, for events to come back about, and mails of the kinds that come back."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass

from factories.audience import SECRET, subscriber
from factories.issues import article
from factories.publications import publication as make_publication
from sqlalchemy import select

from newsletter.articles.models import Article
from newsletter.audience.models import Subscriber, Subscription, SubscriptionStatus
from newsletter.delivery.models import Delivery, DeliveryState, Recipient, Send, SendState
from newsletter.delivery.tracking import Marks
from newsletter.editions.models import Edition, EditionLink
from newsletter.issues.models import Issue, IssueState, Placement, Section
from newsletter.kit import clock
from newsletter.publications.models import Publication

BOUNCES = "bounces.meridian.example"
READERS = ("ada@readers.example", "ben@readers.example", "cleo@elsewhere.example")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Sent:
    """A finished send and whom it went to; the seq of a reader is the place in ``readers``, from 1."""

    send_id: int
    issue_id: int
    publication_id: int
    readers: dict[str, int]  # address -> subscriber id

    def seq(self, address: str) -> int:
        return list(self.readers).index(address) + 1

    def return_path(self, address: str) -> str:
        return Marks(SECRET).return_path(self.send_id, self.seq(address), BOUNCES)

    def track_token(self, address: str) -> str:
        return Marks(SECRET).track_token(self.send_id, self.seq(address))


def sent(
    session,
    publication: Publication | None = None,
    readers=READERS,
    *,
    days_ago: float = 0.1,
    state: DeliveryState = DeliveryState.ACCEPTED,
) -> Sent:
    """An issue with two stories that went to ``readers`` some days ago, every delivery in ``state``."""
    publication = publication or make_publication(session)
    at = clock.now() - dt.timedelta(days=days_ago)
    issue_id, stories = _issue(session, publication, at)
    edition = Edition(
        issue_id=issue_id,
        content_hash=f"{issue_id}",
        subject="The week",
        html="",
        text="",
        web_html="",
        literals=b"",
        slots=[],
        html_bytes=0,
        frozen_at=at,
    )
    session.add(edition)
    session.flush()
    for n, story in enumerate(stories, start=1):
        session.add(EditionLink(edition_id=edition.id, n=n, url=story.canonical_url, article_id=story.id))
    session.add(EditionLink(edition_id=edition.id, n=9, url="https://meridian.example/give", label="Donate"))
    send = Send(
        issue_id=issue_id,
        publication_id=publication.id,
        edition_id=edition.id,
        state=SendState.COMPLETE,
        send_at=at,
        audience=len(readers),
        created_at=at,
        started_at=at,
        finished_at=at + dt.timedelta(seconds=10),
    )
    session.add(send)
    session.flush()
    people = {address: _reader(session, address, publication.id) for address in readers}
    for seq, (address, ident) in enumerate(people.items(), start=1):
        session.add(
            Recipient(
                send_id=send.id, seq=seq, subscriber_id=ident, edition_id=edition.id, address=address, attributes={}
            )
        )
        session.add(Delivery(send_id=send.id, seq=seq, state=state, attempt=1, outcome_at=at))
    session.flush()
    return Sent(send.id, issue_id, publication.id, people)


def _issue(session, publication: Publication, at: dt.datetime) -> tuple[int, list[Article]]:
    row = Issue(
        publication_id=publication.id,
        number=next(_numbers),
        date=f"{at:%Y-%m-%d}",
        title="The week",
        state=IssueState.SENT,
        cutoff_at=at,
        created_at=at,
        updated_at=at,
    )
    session.add(row)
    session.flush()
    section = Section(issue_id=row.id, position=1, name="Top")
    session.add(section)
    session.flush()
    stories = [article(session, publication) for _ in range(2)]
    for position, story in enumerate(stories, start=1):
        session.add(Placement(issue_id=row.id, section_id=section.id, article_id=story.id, position=position))
    session.flush()
    return row.id, stories


def _reader(session, address: str, publication_id: int) -> int:
    known = session.scalar(
        select(Subscriber.id)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscriber.address == address, Subscription.publication_id == publication_id)
    )
    return known or subscriber(session, SECRET, address, publication_id).id


def refuse(session, send_id: int, seq: int, reply: str, *, command: str = "RCPT", code: int = 550) -> None:
    """Have a server refuse one delivery."""
    row = session.get(Delivery, (send_id, seq))
    row.state, row.code, row.reply, row.command = DeliveryState.REFUSED, code, reply, command
    session.flush()


def status(session, sent: Sent, address: str) -> SubscriptionStatus:
    """Where the reader's membership stands."""
    return session.scalar(
        select(Subscription.status).where(
            Subscription.subscriber_id == sent.readers[address], Subscription.publication_id == sent.publication_id
        )
    )


def dsn(
    recipient: str = "ada@readers.example",
    reply: str = "550 5.1.1 No such user here",
    *,
    status: str = "5.1.1",
    action: str = "failed",
    to: str = "desk@meridian.example",
    text: str = "",
    original: str = "",
    ident: str = "<1@mx.readers.example>",
) -> bytes:
    """A delivery status notification as RFC 3464 wants it."""
    return f"""\
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.readers.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: {ident}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_cut"

This is a MIME-encapsulated message.

--=_cut
Content-Type: text/plain; charset=us-ascii

{text or f"<{recipient}>: host mx.readers.example said: {reply} (in reply to RCPT TO command)"}

--=_cut
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.readers.example
Arrival-Date: Fri, 20 Nov 2026 15:00:00 +0000

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {reply}

--=_cut
Content-Type: text/rfc822-headers

{original or "From: desk@meridian.example"}
To: {recipient}
Subject: The week

--=_cut--
""".encode()


def complaint(original: str, *, feedback: str = "abuse") -> bytes:
    """A complaint in the form of RFC 5965, the reader's address taken out."""
    return f"""\
From: Feedback <feedback@readers.example>
To: abuse@meridian.example
Subject: FW: The week
Message-ID: <complaint-1@readers.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part"

--part
Content-Type: text/plain

This is an email abuse report.

--part
Content-Type: message/feedback-report

Feedback-Type: {feedback}
User-Agent: Readers-Feedback/2.0
Version: 1

--part
Content-Type: message/rfc822

{original}
From: The Meridian Review <desk@meridian.example>
To: redacted
Subject: The week

Good afternoon.

--part--
""".encode()


def plain(subject: str, body: str, *, sender: str = "ada@readers.example", **fields: str) -> bytes:
    """A mail without parts; further header fields by their names with underscores."""
    more = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in fields.items())
    head = f"From: {sender}\nTo: desk@meridian.example\nSubject: {subject}\nMessage-ID: <{len(body)}@example>\n"
    return f"{head}{more}\n{body}".encode()
