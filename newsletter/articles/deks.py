"""The sentence or two under a headline, out of whatever a source calls a summary.

Promise: a dek is whole sentences of at most ``MAX_DEK`` characters where the
text has them, and never the headline again, a kicker, a byline, a caption, or
what a button said ("keep readingShow less"). No words are added but a final "…"
where a sentence had to be broken off.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from newsletter.articles.canonical import headline_key
from newsletter.articles.captions import is_credited
from newsletter.articles.kickers import is_kicker

MAX_DEK: Final = 300
ENOUGH: Final = 60  # characters; a sentence end before them cuts too much away
FEW_WORDS: Final = 4  # a line with fewer is a label, a date or a name, if anything else is there

_LONGEST_LINE: Final = 3000
_SEARCHED_LINES: Final = 40

_ACTION: Final = (
    r"(?:keep reading|continue reading|read more|read on|read the (?:full|whole|entire|rest of the) \w+|"
    r"read full \w+|show less|show more|see more|learn more|view more|(?<=[\[(])more)"
)
_BUTTON: Final = re.compile(rf"(?:^|(?<=[.!?…”\"’)\]]))\s*(?:[\[(]?{_ACTION}[\s.:…»›→>\])]*)+$", re.IGNORECASE)
_GLUED: Final = re.compile(r"\s*keep reading\s*show less\W*$", re.IGNORECASE)
_CONTINUE: Final = re.compile(r"(?:^|(?<=[.!?…”\"’)\]]))\s*continue reading\b.{0,300}$", re.IGNORECASE)
_FOOTER: Final = re.compile(r"(?:^|\s)The post .{1,400}? (?:appeared first|first appeared) on .{1,200}$")
_BROKEN_OFF: Final = re.compile(r"\s*(?:\[\s*(?:…|\.{2,})\s*\]|…|\.{3,})$")
_BYLINE: Final = re.compile(r"by(?:\s+[^\s.]+){1,7}", re.IGNORECASE)
_SENTENCE_END: Final = re.compile(r"[.!?]+[”\"’')\]]*(?=\s+[^a-z\s]|$)|[。！？]")
_ABBREVIATED: Final = re.compile(
    r"(?:\b[A-Z]|\b(?:Adm|Brig|Capt|Co|Col|Dr|Fig|Gen|Gov|Jr|Lt|Maj|Mr|Mrs|Ms|Mt|No|Prof|Rep|Rev|Sen|Sgt|Sr|St|vs))$"
)


def choose(lines: Sequence[str], headline: str) -> str:
    """Return the first of ``lines`` that reads like a dek, cleaned and cut; empty if there is none."""
    short = ""
    for line in lines[:_SEARCHED_LINES]:
        told, broken_off = _without_leftovers(line[:_LONGEST_LINE])
        told = _without_headline(told, headline)
        if not headline_key(told) or is_kicker(told) or is_credited(told) or _BYLINE.fullmatch(told):
            continue
        if len(told.split()) >= FEW_WORDS or not told.isascii():  # not every script has spaces
            return _cut(told, broken_off=broken_off)
        if told[-1] in ".!?…":
            short = short or told
    return short


def first_sentence(text: str, longest: int) -> str:
    """Return the beginning of ``text``: its first sentence, or as many words as fit in ``longest`` characters."""
    end = next((found for found in _ends(text) if found <= longest), 0)
    return text[:end] if end or not text else _words(text, longest)


def _without_leftovers(line: str) -> tuple[str, bool]:
    """Return the line without what its site put around it, and whether it stops in mid-sentence."""
    line = _FOOTER.sub("", line)
    for leftover in (_GLUED, _BUTTON, _CONTINUE):
        line = leftover.sub("", line)
    whole = _BROKEN_OFF.sub("", line)
    return whole.strip(), whole != line


def _without_headline(line: str, headline: str) -> str:
    if headline and line.casefold().startswith(headline.casefold()):
        rest = line[len(headline) :]
        return rest.lstrip(" .:|–—-") if not rest[:1].isalnum() else line
    return line


def _cut(text: str, *, broken_off: bool) -> str:
    ends = _ends(text)
    if len(text) <= MAX_DEK and (not broken_off or len(text) in ends):
        return text
    ends = [end for end in ends if ENOUGH <= end <= MAX_DEK]
    return text[: ends[-1]] if ends else _words(text, MAX_DEK)


def _ends(text: str) -> list[int]:
    """Return where sentences end, a full stop after an initial or a title not counted."""
    found = _SENTENCE_END.finditer(text)
    return [end.end() for end in found if not _ABBREVIATED.search(text[max(0, end.start() - 5) : end.start()])]


def _words(text: str, longest: int) -> str:
    if len(text) >= longest:
        text = text[: longest - 1].rpartition(" ")[0] or text[: longest - 1]
    return text.rstrip(" ,;:–—-") + "…"
