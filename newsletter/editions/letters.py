"""One folder of templates to one letter: subject, HTML and text that belong together.

Promise: ``subject.txt``, ``body.html`` and ``body.txt`` of a folder under
templates/email/ are filled with the same facts, and the HTML has its CSS inlined.
The weekly and every notice go through here. It adds no headers and sends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from newsletter.editions.identity import Identity
from newsletter.editions.inline import inlined
from newsletter.editions.render import renderer
from newsletter.editions.theme import styles
from newsletter.editions.words import one_line

_INDENT = re.compile(r"\n[ \t\n]*")
_GAP = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Letter:
    """A rendered message without its headers. ``subject`` is one line; ``text`` ends in one line feed."""

    subject: str
    html: str
    text: str


def letter(
    folder: str, identity: Identity, facts: Mapping[str, object], text_facts: Mapping[str, object] | None = None
) -> Letter:
    """Render the templates in ``folder``, such as ``email/notices/confirm``.

    They see ``identity``, ``styles``, ``subject`` (the filled subject.txt, unless the
    facts say otherwise) and the facts. ``text_facts`` replace the facts in the text
    and in the subject, where words must not be ``Markup``.
    """
    plain = {"identity": identity, **(facts if text_facts is None else text_facts)}
    subject = one_line(renderer().render(f"{folder}/subject.txt", **plain))
    return Letter(
        subject=subject,
        html=inlined(page(f"{folder}/body.html", identity, {"subject": subject, **facts})),
        text=_spaced(renderer().render(f"{folder}/body.txt", **{"subject": subject, **plain})),
    )


def page(name: str, identity: Identity, facts: Mapping[str, object]) -> str:
    """Render one HTML document with its style sheets in the head, not inlined, without indentation."""
    look = styles(identity.brand, identity.direction)
    document = renderer().render(name, **{"identity": identity, "styles": look, **facts})
    return _INDENT.sub("\n", document).strip() + "\n"


def _spaced(text: str) -> str:
    return _GAP.sub("\n\n", text).strip() + "\n"
