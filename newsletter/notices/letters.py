"""A notice to the bytes of its message.

Promise: the same notice is the same message on every attempt, Message-ID and
date included, so that a mail that was sent twice can be recognised. What a
template calls a fact is put in after the CSS was inlined, so that a thousand
confirmations cost one inlining. Nothing here sends.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from newsletter import editions
from newsletter.config import Settings
from newsletter.delivery.dkim import Signer
from newsletter.editions import Identity
from newsletter.editions.encoding import FOLD, header_text, mailbox, quoted_printable
from newsletter.editions.marks import Mark, Marks
from newsletter.editions.words import one_line
from newsletter.kit.tokens import Sealer
from newsletter.publications import Publication

FOLDER: Final = "email/notices"
STUDIO: Final = Identity(name="Newsletter studio")  # whom mail to the staff is from where no publication is concerned
LEAVE: Final = "leave_url"  # the fact that makes List-Unsubscribe
CRLF: Final = b"\r\n"

Pieces = tuple[str | Mark, ...]


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom a notice is from: the publication, or the installation itself."""

    identity: Identity
    name: str
    address: str
    return_path: str

    @classmethod
    def of(cls, publication: Publication | None, settings: Settings) -> Sender:
        """Return the sender of a publication's notices; bounces go to the bounce domain if there is one."""
        if publication is None:
            address = f"newsletter@{settings.bounce_domain or urlsplit(settings.base_url).hostname}"
            identity, name = STUDIO, STUDIO.name
        else:
            address, identity, name = publication.from_address, Identity.of(publication), publication.from_name
        path = f"notices@{settings.bounce_domain}" if settings.bounce_domain else address
        return cls(identity, one_line(name), address, path)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One notice on its way out."""

    notice_id: int
    kind: str
    to_address: str
    facts: Mapping[str, str]
    created_at: dt.datetime


def message(notice: Outgoing, sender: Sender, settings: Settings) -> bytes:
    """Return the whole RFC 5322 message: 7-bit, CRLF, text first, signed if we hold the key."""
    facts = {name: str(value) for name, value in notice.facts.items()}
    given = frozenset(name for name, value in facts.items() if value)
    subject, page, text = _pieces(notice.kind, sender.identity, given, frozenset(facts))
    bodies = (
        (b"plain", "".join(_filled(text, facts))),
        (b"html", "".join(_filled(page, {name: html.escape(value) for name, value in facts.items()}))),
    )
    digest = hashlib.sha256(repr((notice.notice_id, bodies)).encode()).hexdigest()[:32]
    boundary = b"=_" + digest.encode()  # no quoted-printable line can hold "=_" (RFC 2045, 6.7)
    lines = _headers(notice, sender, settings, "".join(_filled(subject, facts)))
    lines += [b"Content-Type: multipart/alternative;" + FOLD + b'boundary="' + boundary + b'"', b""]
    for subtype, body in bodies:
        lines += [
            b"--" + boundary,
            b"Content-Type: text/" + subtype + b"; charset=utf-8",
            b"Content-Transfer-Encoding: quoted-printable",
            b"",
            quoted_printable(body),
        ]
    raw = CRLF.join([*lines, b"--" + boundary + b"--", b""])
    signer = Signer.of(settings, sender.address)
    return signer.sign(raw, at=int(notice.created_at.timestamp())) if signer else raw


def _headers(notice: Outgoing, sender: Sender, settings: Settings, subject: str) -> list[bytes]:
    ident = Sealer(settings.secret, "notice").seal_lower(notice.notice_id)
    headers = [
        b"From: " + mailbox(sender.name, sender.address),
        b"To: " + mailbox("", notice.to_address),
        b"Subject: " + header_text(one_line(subject)),
        b"Date: " + format_datetime(notice.created_at).encode(),
        b"Message-ID: <" + f"{ident}@{sender.address.rpartition('@')[2]}".encode() + b">",
        b"Auto-Submitted: auto-generated",  # RFC 3834: keeps out-of-office replies away
    ]
    if leave_url := notice.facts.get(LEAVE):
        headers += [
            b"List-Unsubscribe: <" + str(leave_url).encode() + b">",
            b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        ]
    return [*headers, b"MIME-Version: 1.0"]


@lru_cache(maxsize=64)
def _pieces(
    kind: str, identity: Identity, given: frozenset[str], names: frozenset[str]
) -> tuple[Pieces, Pieces, Pieces]:
    """Return subject, HTML and text of a kind, cut where the facts belong; inlining takes tens of milliseconds."""
    marks = Marks(kind)
    places = {name: marks.token(name) if name in given else "" for name in sorted(names)}
    letter = editions.letter(f"{FOLDER}/{kind}", identity, places)
    return tuple(marks.cut(letter.subject)), tuple(marks.cut(letter.html)), tuple(marks.cut(letter.text))


def _filled(pieces: Pieces, facts: Mapping[str, str]) -> list[str]:
    return [facts[piece.name] if isinstance(piece, Mark) else piece for piece in pieces]
