"""The three forms an issue is written in: the mail's HTML, the mail's text, and the web version.

Promise: the same words in each, made safe for the form. In a mail, a reader's
field is an opaque mark and an outside link is counted if the publication counts;
on the web a field is its default and every link is direct, so that a public page
holds nothing of any reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

from newsletter.editions import merge
from newsletter.editions.links import MailLinks, checked, is_web_address
from newsletter.editions.marks import Marks
from newsletter.editions.merge import Tag
from newsletter.editions.words import one_line

# A bare web address in a text, without the punctuation of the sentence that it ends.
_ADDRESS = re.compile(r"(https?://[^\s<>\"“”«»]*[^\s<>\"“”«».,;:!?'’)\]}…])")


@dataclass(frozen=True, slots=True)
class Medium:
    """One form: ``markup`` says HTML or plain text; a mail has ``marks`` and ``links``, the web has neither."""

    markup: bool
    marks: Marks | None = None
    links: MailLinks | None = None

    def plain(self, text: str) -> str:
        """Return words of a feed or a setting: one line, no tags, escaped by the template."""
        return one_line(text)

    def say(self, text: str, *, field: str) -> str:
        """Return an editor's line with its merge tags; HTML comes as ``Markup``."""
        pieces = merge.parse(one_line(text), field=field)
        return self._joined(self._field(piece) if isinstance(piece, Tag) else piece for piece in pieces)

    def say_linked(self, text: str, *, field: str) -> str:
        """Return an editor's line with its merge tags and with its web addresses as links."""
        pieces = merge.parse(one_line(text), field=field)
        return self._joined(
            part
            for piece in pieces
            for part in ([self._field(piece)] if isinstance(piece, Tag) else self._autolinked(piece))
        )

    def href(self, url: str, label: str, article_id: int | None = None) -> str:
        """Return the address to print for an outside target, or raise ``Invalid`` for what is none."""
        return self.links.to(url, label, article_id) if self.links else checked(url, label)

    def _field(self, tag: Tag) -> str:
        return self.marks.field(tag.name, tag.default) if self.marks else tag.default

    def _autolinked(self, text: str) -> Iterator[str]:
        for n, part in enumerate(_ADDRESS.split(text)):
            if n % 2 == 0 or not is_web_address(part):
                yield part
            else:
                target = self.href(part, part)
                yield Markup('<a class="link" href="{}">{}</a>').format(target, part) if self.markup else target

    def _joined(self, parts: Iterator[str]) -> str:
        return Markup("").join(escape(part) for part in parts) if self.markup else "".join(parts)
