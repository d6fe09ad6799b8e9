"""Checks of the message as it would be sent: its size, its parts, its markup, the way out of the list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from newsletter.editions.checks.finding import Case, Finding, block, warn
from newsletter.editions.compiled import LEAVE_TOKEN
from newsletter.editions.linter import faults

# Gmail cuts a mail at about 102 kB of its encoded HTML part, and the unsubscribe link goes with the rest.
HTML_LIMIT: Final = 95_000
HTML_HEAVY: Final = 80_000


def size(case: Case) -> Iterator[Finding]:
    """The HTML part is small enough to be shown whole."""
    if case.composed is None:
        return
    kilobytes = round(case.composed.html_bytes / 1000)
    if case.composed.html_bytes > HTML_LIMIT:
        yield block("mail too big", f"The mail's HTML has {kilobytes} kB; Gmail cuts mails at 102 kB.", "sections")
    elif case.composed.html_bytes > HTML_HEAVY:
        yield warn("mail heavy", f"The mail's HTML has {kilobytes} kB; Gmail cuts mails at 102 kB.", "sections")


def parts(case: Case) -> Iterator[Finding]:
    """There is a text part, and header, HTML and text each lead out of the list."""
    if case.composed is None:
        return
    if not case.composed.text.strip():
        yield block("text part missing", "The mail has no plain-text part.", "theme")
    ways_out = {slot.place for slot in case.composed.compiled.slots if slot.name == LEAVE_TOKEN}
    for place in sorted({"header", "html", "text"} - ways_out):
        reason = f"The mail's {place} has no unsubscribe link; the theme's templates must print it."
        yield block("unsubscribe link missing", reason, "theme")


def markup(case: Case) -> Iterator[Finding]:
    """The HTML passes our own linter."""
    if case.composed is None:
        return
    for fault in faults(case.composed.html):
        yield block("markup", f"The mail's HTML breaks the rule “{fault.rule}”: {fault.detail}", "theme")
