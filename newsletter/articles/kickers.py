"""The line above a headline: what kind of piece it is, and what part of the world it is about.

Promise: "Analysis | Middle East" comes apart into its two halves wherever it was
found; from loose labels (categories) the best kind and the best region are
picked, and nothing is made up. A kicker is never longer than its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

MAX_KICKER: Final = 120

# fmt: off
_KINDS: Final = frozenset({
    "analysis", "argument", "blog", "briefing", "column", "commentary", "cover story", "dispatch", "editorial",
    "essay", "event", "explainer", "fact check", "feature", "interview", "investigation", "letter", "long read",
    "news", "newsletter", "obituary", "op-ed", "opinion", "podcast", "profile", "q&a", "report", "reporting",
    "review", "special report", "video", "viewpoint", "webinar",
})
_REGIONS: Final = frozenset({
    "africa", "americas", "antarctica", "arctic", "asia", "asia pacific", "asia-pacific", "australia", "balkans",
    "baltics", "caribbean", "caucasus", "central america", "central asia", "china", "east africa", "east asia",
    "eastern europe", "eurasia", "europe", "european union", "global", "global crises", "horn of africa", "india",
    "indo-pacific", "latin america", "levant", "maghreb", "mediterranean", "mena", "middle east", "north africa",
    "north america", "northern europe", "oceania", "pacific", "russia", "sahel", "south america", "south asia",
    "southeast asia", "southern africa", "sub-saharan africa", "turkey", "ukraine", "united kingdom",
    "united states", "us", "usa", "west africa", "western europe", "world",
})
_FILING: Final = frozenset({
    "all", "archive", "articles", "featured", "front page", "general", "home", "homepage", "latest", "posts",
    "top story", "uncategorised", "uncategorized",
})
# fmt: on
# Two short halves without the punctuation of a sentence.
_LINE: Final = re.compile(r"\s*([^|.!?:]{2,40}?)\s*\|\s*([^|.!?:]{2,40}?)\s*")


class Kicker(NamedTuple):
    """``kind`` such as "Analysis", ``region`` such as "Middle East"; either may be empty."""

    kind: str
    region: str


def is_kicker(line: str) -> bool:
    """Whether a line of text is a kicker: two short halves, one of them a known kind or region."""
    found = _LINE.fullmatch(line)
    return found is not None and any(half.lower() in _KINDS | _REGIONS for half in found.groups())


def read(kicker: str, labels: Iterable[str] = ()) -> Kicker:
    """Take ``kicker`` apart; what it does not tell comes from ``labels``, the first fitting one."""
    told = _halves(kicker)
    kinds: list[str] = []
    regions: list[str] = []
    others: list[str] = []
    for label in labels:
        part = _halves(label) if "|" in label else _sorted(label)
        kinds += [part.kind] if part.kind else []
        known = part.region.lower() in _REGIONS or "|" in label
        (regions if known else others).append(part.region)
    region = next((name for name in (*regions, *others) if name and name.lower() not in _FILING), "")
    return Kicker(kind=(told.kind or next(iter(kinds), ""))[:MAX_KICKER], region=(told.region or region)[:MAX_KICKER])


def _halves(line: str) -> Kicker:
    """Split at the bar; halves in the other order ("Asia | Opinion") are put right."""
    first, bar, second = (half.strip() for half in line.partition("|"))
    if not bar:
        return _sorted(first)
    if second.lower() in _KINDS and first.lower() not in _KINDS:
        return Kicker(kind=second, region=first)
    return Kicker(kind=first, region=second)


def _sorted(label: str) -> Kicker:
    return Kicker(kind=label, region="") if label.lower() in _KINDS else Kicker(kind="", region=label)
