"""A rendered issue to one whole message, headers included, cut at its slots.

Promise: everything that is the same for all readers is encoded here, once: RFC
5322 headers, RFC 2047 words, quoted-printable bodies, a boundary that follows
from the content. What differs is left as slots; ``newsletter.editions.compiled``
says what they hold. The same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from newsletter.editions.compiled import LEAVE_TOKEN, Compiled, Place, Slot
from newsletter.editions.encoding import FOLD, SOFT, encoded_words, header_text, mailbox, phrase, quoted_printable
from newsletter.editions.letters import Letter
from newsletter.editions.links import OwnAddresses
from newsletter.editions.marks import Mark, Marks
from newsletter.editions.words import one_line
from newsletter.errors import Invalid
from newsletter.publications.models import Publication

CRLF = b"\r\n"


class _Writer:
    """Collects literal bytes and slots in the order of the message."""

    def __init__(self) -> None:
        self._literals: list[bytes] = []
        self._slots: list[Slot] = []
        self._open: list[bytes] = []

    def put(self, *pieces: bytes) -> None:
        self._open.extend(pieces)

    def slot(self, place: Place, name: str, default: str = "") -> None:
        self._close()
        self._slots.append(Slot(place, name, default))

    def body(self, pieces: Iterable[str | Mark], place: Place) -> None:
        """Put a quoted-printable body; every slot has a line of its own, between soft line breaks."""
        for piece in pieces:
            if isinstance(piece, Mark):
                if self._open and not self._open[-1].endswith(b"\n"):
                    self.put(SOFT)
                self.slot(place, piece.name, piece.default)
                self.put(SOFT)
            else:
                self.put(quoted_printable(piece))

    def compiled(self) -> Compiled:
        self._close()
        return Compiled(tuple(self._literals), tuple(self._slots))

    def _close(self) -> None:
        self._literals.append(b"".join(self._open))
        self._open = []


def assembled(letter: Letter, marks: Marks, publication: Publication, own: OwnAddresses) -> Compiled:
    """Make the message of a letter; its subject, HTML and text may hold marks."""
    bodies: tuple[tuple[Place, str], ...] = (("text", letter.text), ("html", letter.html))
    boundary = _boundary(letter, marks)
    writer = _Writer()
    _put_headers(writer, letter.subject, marks, publication, own)
    writer.put(b"MIME-Version: 1.0", CRLF)
    writer.put(b"Content-Type: multipart/alternative;", FOLD, b'boundary="', boundary, b'"', CRLF)
    for place, body in bodies:
        subtype = b"plain" if place == "text" else b"html"
        writer.put(CRLF, b"--", boundary, CRLF)
        writer.put(b"Content-Type: text/", subtype, b"; charset=utf-8", CRLF)
        writer.put(b"Content-Transfer-Encoding: quoted-printable", CRLF, CRLF)
        writer.body(marks.cut(body), place)
    writer.put(CRLF, b"--", boundary, b"--", CRLF)
    return writer.compiled()


def _put_headers(writer: _Writer, subject: str, marks: Marks, publication: Publication, own: OwnAddresses) -> None:
    name = one_line(publication.name)
    sender = _seven_bit(publication.from_address)
    writer.put(b"From: ", mailbox(one_line(publication.from_name), sender), CRLF)
    writer.put(b"To: ")
    writer.slot("header", "to")
    writer.put(CRLF, b"Subject: ")
    _put_subject(writer, list(marks.cut(subject)))
    writer.put(CRLF, b"Date: ")
    writer.slot("header", "date")
    writer.put(CRLF, b"Message-ID: <")
    writer.slot("header", "message_id")
    writer.put(b">", CRLF)
    if publication.reply_to:
        writer.put(b"Reply-To: ", mailbox("", _seven_bit(publication.reply_to)), CRLF)
    # RFC 2919: an identifier that stays the same for the life of the list, under the sender's domain.
    list_id = f"<{publication.slug}.{sender.rpartition('@')[2]}>"
    writer.put(b"List-ID: ", phrase(name), FOLD, list_id.encode(), CRLF)
    writer.put(b"List-Archive: <", _seven_bit(own.sign_up).encode(), b">", CRLF)
    # RFC 8058: one https URI that identifies reader and list, and the fixed words of the POST.
    writer.put(b"List-Unsubscribe: <", _seven_bit(own.base_url).encode(), b"/u/")
    writer.slot("header", LEAVE_TOKEN)
    writer.put(b">,", FOLD, b"<mailto:")
    writer.slot("header", "bounce_address")
    writer.put(b"?subject=unsubscribe>", CRLF)
    writer.put(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click", CRLF)
    writer.put(b"Feedback-ID: ")
    writer.slot("header", "feedback_id")
    writer.put(CRLF, b"Precedence: bulk", CRLF)


def _put_subject(writer: _Writer, pieces: list[str | Mark]) -> None:
    if not any(isinstance(piece, Mark) for piece in pieces):
        writer.put(header_text("".join(str(piece) for piece in pieces)))
        return
    # Encoded words throughout: the blanks between them do not count (RFC 2047, 6.2), so
    # a name can stand next to a comma. A name is never empty: compose asks for a default.
    for n, piece in enumerate(pieces):
        if n:
            writer.put(FOLD)
        if isinstance(piece, Mark):
            writer.slot("header", piece.name, piece.default)
        else:
            writer.put(FOLD.join(encoded_words(piece)))


def _seven_bit(text: str) -> str:
    """Return an address or URL for a header, which holds ASCII only unless every relay speaks SMTPUTF8."""
    if not text.isascii() or one_line(text) != text or " " in text:
        raise Invalid(f"“{text}” cannot stand in a mail's headers; write its domain as xn--….", field="sender")
    return text


def _boundary(letter: Letter, marks: Marks) -> bytes:
    """Return ``=_`` and a hash: no quoted-printable line can hold ``=_`` (RFC 2045, 6.7, note)."""
    digest = hashlib.sha256()
    for part in (letter.subject, letter.text, letter.html):
        for piece in marks.cut(part):
            digest.update(repr(piece).encode())
    return b"=_" + digest.hexdigest()[:32].encode()
