"""What goes where in a draft, which story leads, and what the subject line says.

Promise: pure functions. The same stories and rules give the same plan, every
story is either in the plan or left out with a reason, and the choice of the lead
is explained in one sentence. Nothing is read from or written to the database.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from newsletter import articles
from newsletter.publications import SectionRule

# Kinds that lead before others, and kinds that lead only when there is nothing else.
WEIGHTY: Final = frozenset({"analysis", "essay", "feature", "interview", "investigation", "report", "reporting"})
SLIGHT: Final = frozenset({"blog", "brief", "briefs", "events", "latest", "letters", "news brief", "podcast", "video"})
MIN_LEAD_WIDTH: Final = 600  # pixels: the lead's photo is as wide as the sheet
MAX_SUBJECT: Final = 90
MAX_PREHEADER: Final = 140


@dataclass(frozen=True, slots=True)
class Plan:
    """A draft before it is written: article ids by section, the lead and why, and what was left out and why."""

    sections: tuple[tuple[str, tuple[int, ...]], ...]
    lead_id: int | None
    lead_reason: str
    left_out: tuple[tuple[int, str], ...]


def plan(rules: Sequence[SectionRule], stories: Collection[articles.ArticleView]) -> Plan:
    """Fill the sections, newest story first, and choose the lead among what was placed."""
    taken: dict[str, list[articles.ArticleView]] = {rule.name: [] for rule in rules}
    left_out: list[tuple[int, str]] = []
    for story in sorted(stories, key=recency, reverse=True):
        rule = _rule_for(rules, story)
        if rule is None:
            left_out.append((story.id, f"no section takes {_described(story)}."))
        elif len(taken[rule.name]) >= rule.cap:
            left_out.append((story.id, f"“{rule.name}” was full with {rule.cap} newer stories."))
        else:
            taken[rule.name].append(story)
    lead, reason = choose_lead([story for section in taken.values() for story in section])
    return Plan(
        sections=tuple((name, tuple(story.id for story in section)) for name, section in taken.items()),
        lead_id=lead.id if lead else None,
        lead_reason=reason,
        left_out=tuple(left_out),
    )


def choose_lead(stories: Sequence[articles.ArticleView]) -> tuple[articles.ArticleView | None, str]:
    """Return the story to lead with and one sentence that says why it was chosen.

    A photo that is wide enough and a dek come first, then the weight of the kind
    (analysis before news before briefs), then the date.
    """
    if not stories:
        return None, ""
    lead = max(stories, key=lambda story: (_presentable(story), _weight(story), recency(story)))
    kind = lead.kicker_kind or "story"
    rivals = [story for story in stories if _presentable(story) == _presentable(lead)]
    what = f"the newest {kind}" if sum(_weight(story) == _weight(lead) for story in rivals) > 1 else f"the only {kind}"
    having = "with a photo and a dek" if _presentable(lead) else "though it lacks a wide photo or a dek, as they all do"
    return lead, f"Chosen as {what} {having}, among {len(stories)} {'story' if len(stories) == 1 else 'stories'}."


def recency(story: articles.ArticleView) -> tuple[dt.datetime, int]:
    """Sort key: when it was published or, if the source does not say, when we first saw it."""
    return story.published_at or story.first_seen_at, story.id


def subject_from(lead: articles.ArticleView) -> str:
    """Propose a subject line: the lead's headline, cut at a word if it is very long."""
    return shortened(lead.headline, MAX_SUBJECT)


def preheader_from(lead: articles.ArticleView, others: Sequence[articles.ArticleView]) -> str:
    """Propose the line after the subject: the lead's dek, or the next headlines if it has none."""
    return shortened(lead.dek or "; ".join(story.headline for story in others[:2]), MAX_PREHEADER)


def shortened(text: str, limit: int) -> str:
    """Return ``text`` as one line of at most ``limit`` characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    return line[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:—–-") + "…"


def _rule_for(rules: Sequence[SectionRule], story: articles.ArticleView) -> SectionRule | None:
    words = {word.casefold() for word in (story.kicker_kind, story.kicker_region, story.section) if word}
    named = (rule for rule in rules if words & {word.casefold() for word in rule.takes})
    return next(named, None) or next((rule for rule in rules if not rule.takes), None)


def _described(story: articles.ArticleView) -> str:
    words = " | ".join(word for word in (story.kicker_kind, story.kicker_region) if word) or story.section
    return f"“{words}”" if words else "stories without a kind or region"


def _presentable(story: articles.ArticleView) -> bool:
    wide = story.image_width is None or story.image_width >= MIN_LEAD_WIDTH
    return bool(story.image_url and story.dek and wide)


def _weight(story: articles.ArticleView) -> int:
    kind = story.kicker_kind.casefold()
    if kind in WEIGHTY:
        return 2
    return 0 if kind in SLIGHT or (not kind and not story.kicker_region) else 1
