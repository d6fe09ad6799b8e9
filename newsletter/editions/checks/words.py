"""Checks of the words an editor writes: subject, preheader, title, note, headlines, deks.

Promise: reads words only. It knows no spelling and no style, just what cannot be
meant: a missing subject, a placeholder, a tag that will not be filled, a day that
is another day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from babel.dates import get_day_names

from newsletter.editions import merge
from newsletter.editions.checks.finding import Case, Finding, block, place_of, warn
from newsletter.editions.merge import Tag
from newsletter.editions.render import locale_of
from newsletter.errors import Invalid

LONG_SUBJECT: Final = 70
LONG_PREHEADER: Final = 140
SHOUTED: Final = 6  # letters; shorter subjects may be abbreviations

_PLACEHOLDER = re.compile(r"\b(TK(?:TK)*|XXX+|[Ll]orem ipsum)\b")
_FOREIGN_TAG = re.compile(r"\*\|\w+\|\*|\[\[\w+\]\]|%%\w+%%|%recipient\.\w+%|\{%.*?%\}|<%=?.*?%>")


def subject(case: Case) -> Iterator[Finding]:
    """The subject: present, of a readable length, not shouted."""
    text = case.issue.subject.strip()
    if not text:
        yield block("subject missing", "The issue has no subject.", "subject")
    if len(text) > LONG_SUBJECT:
        yield warn("subject long", f"The subject has {len(text)} characters; phones cut it after about 40.", "subject")
    if text.isupper() and sum(map(str.isalpha, text)) > SHOUTED:
        yield warn("subject shouted", "The subject is all capitals; spam filters count that.", "subject")


def preheader(case: Case) -> Iterator[Finding]:
    """The preheader: present, not the subject again, not too long to be shown."""
    text = case.issue.preheader.strip()
    if not text:
        reason = "There is no preheader; inboxes will show the first words of the mail instead."
        yield warn("preheader missing", reason, "preheader")
    elif text.casefold() == case.issue.subject.strip().casefold():
        yield warn("preheader repeats", "The preheader says the same as the subject.", "preheader")
    elif len(text) > LONG_PREHEADER:
        yield warn("preheader long", f"The preheader has {len(text)} characters; about 100 are shown.", "preheader")


def merge_tags(case: Case) -> Iterator[Finding]:
    """Every tag can be filled, for readers without a name too."""
    for where, field, text in _editors_words(case):
        try:
            tags = [piece for piece in merge.parse(text, field=field) if isinstance(piece, Tag)]
        except Invalid as error:
            yield block("merge tag", error.message, where)
            continue
        for tag in tags:
            if not tag.default.strip():
                level = block if field == "subject" else warn
                reason = f"The {field} names {tag.name} without a default; readers without one see a gap."
                yield level("merge tag without default", reason, where)
        if foreign := _FOREIGN_TAG.search(text):
            yield warn("foreign tag", f"The {field} holds “{foreign[0]}”, which will be sent as it stands.", where)


def placeholders(case: Case) -> Iterator[Finding]:
    """No “TK” is left."""
    for where, field, text in _all_words(case):
        if found := _PLACEHOLDER.search(text):
            yield warn("placeholder", f"The {field} still says “{found[0]}”.", where)


def day_names(case: Case) -> Iterator[Finding]:
    """A day that the subject, preheader or title names is the day of the issue."""
    names = get_day_names("wide", locale=locale_of(case.publication.language))
    today = names[case.issue.date.weekday()]
    for where, text in (
        ("subject", case.issue.subject),
        ("preheader", case.issue.preheader),
        ("title", case.issue.title),
    ):
        for name in names.values():
            if name != today and re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE):
                yield warn("another day", f"The {where} says {name}, but the issue's day is {today}.", where)


def _editors_words(case: Case) -> Iterator[tuple[str, str, str]]:
    """Yield (where, field, text) for the texts in which merge tags count."""
    issue = case.issue
    yield "subject", "subject", issue.subject
    yield "preheader", "preheader", issue.preheader
    yield "note", "note", issue.note
    for placement in issue.placements:
        if placement.headline != placement.original_headline:
            yield place_of(placement), "headline", placement.headline
        if placement.dek != placement.original_dek:
            yield place_of(placement), "dek", placement.dek


def _all_words(case: Case) -> Iterator[tuple[str, str, str]]:
    issue = case.issue
    for field in ("subject", "preheader", "title", "note"):
        yield field, field, getattr(issue, field)
    for placement in issue.placements:
        yield place_of(placement), "headline", placement.headline
        yield place_of(placement), "dek", placement.dek
