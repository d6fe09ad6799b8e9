"""An issue to everything that is sent and shown of it: subject, HTML, text, web version, message.

Promise: a pure function of the issue, its publication and our base URL; it reads
no table and no clock, and the same input gives the same bytes. A wrong merge tag
or link is ``Invalid`` with the field to mend. premailer runs once in here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from fnmatch import fnmatch

from newsletter.editions import merge
from newsletter.editions.compiled import Compiled
from newsletter.editions.identity import Identity
from newsletter.editions.letters import letter, page
from newsletter.editions.links import Link, MailLinks, OwnAddresses
from newsletter.editions.marks import Marks
from newsletter.editions.medium import Medium
from newsletter.editions.merge import Tag
from newsletter.editions.mime import assembled
from newsletter.editions.render import renderer
from newsletter.editions.sheet import Sheet, laid_out
from newsletter.editions.words import one_line
from newsletter.errors import Invalid
from newsletter.issues import IssueView, content_hash
from newsletter.publications.models import Publication


@dataclass(frozen=True, slots=True)
class Composed:
    """One issue, composed. ``html`` and ``text`` hold marks where a reader's data goes.

    ``subject`` has each tag's default in place of the tag; ``html_bytes`` is the
    size of the encoded HTML part, which is what Gmail's limit counts.
    """

    subject: str
    html: str
    text: str
    web_html: str
    links: tuple[Link, ...]
    compiled: Compiled
    html_bytes: int

    def content_hash(self) -> str:
        """Return SHA-256 over all that readers get: the message, its links' targets, the web version."""
        targets = [[link.n, link.url, link.label, link.article_id] for link in self.links]
        whole = json.dumps([self.compiled.digest(), targets, self.web_html])
        return hashlib.sha256(whole.encode()).hexdigest()


def compose(issue: IssueView, publication: Publication, base_url: str) -> Composed:
    """Render an issue for the mail and for the web, and compile the message."""
    folder = f"email/{_theme(publication)}"
    identity = Identity.of(publication)
    own = OwnAddresses(base_url, publication.slug)
    marks = Marks(content_hash(issue))
    links = MailLinks(base_url, marks, tracked=publication.tracking)

    def sheet(medium: Medium) -> dict[str, object]:
        return _facts(laid_out(issue, publication, medium, own))

    in_html = sheet(Medium(markup=True, marks=marks, links=links))
    in_text = sheet(Medium(markup=False, marks=marks, links=links))
    made = letter(folder, identity, in_html, in_text | {"marked_subject": _marked_subject(issue.subject, marks)})
    compiled = assembled(made, marks, publication, own)
    return Composed(
        subject=str(in_html["subject"]),
        html=made.html,
        text=made.text,
        web_html=page(f"{folder}/web.html", identity, sheet(Medium(markup=True))),
        links=links.found,
        compiled=compiled,
        html_bytes=html_size(compiled),
    )


def html_size(compiled: Compiled) -> int:
    """Return the octets of the encoded HTML part without its slots' values."""
    whole = b"".join(compiled.literals)
    return len(whole) - whole.rindex(b"Content-Type: text/html")


def _theme(publication: Publication) -> str:
    if not renderer().has(f"email/{publication.theme}/web.html"):
        known = [name.split("/")[1] for name in renderer().names() if fnmatch(name, "email/*/web.html")]
        raise Invalid(f"There is no theme “{publication.theme}”; there is: {', '.join(known)}.", field="theme")
    return publication.theme


def _facts(sheet: Sheet) -> dict[str, object]:
    """Return a sheet's fields by name, as templates see them."""
    return {field.name: getattr(sheet, field.name) for field in fields(sheet)}


def _marked_subject(subject: str, marks: Marks) -> str:
    pieces = merge.parse(one_line(subject), field="subject")
    for piece in pieces:
        if isinstance(piece, Tag) and not piece.default.strip():
            message = f'In the subject, the tag {piece.name} needs words for readers without it: default("reader").'
            raise Invalid(message, field="subject")
    return "".join(marks.field(piece.name, piece.default) if isinstance(piece, Tag) else piece for piece in pieces)
