"""Issues for tests: articles as rows of the pool, drafts through the room's own door."""

import datetime as dt
import itertools

from sqlalchemy.orm import Session

from newsletter import issues
from newsletter.articles.models import Article
from newsletter.issues import IssueView
from newsletter.publications import Publication

NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
_numbers = itertools.count(1)


def article(session: Session, publication: Publication, **fields) -> Article:
    """An article in the pool, seen a day before ``NOW``, complete unless ``fields`` say otherwise."""
    n = next(_numbers)
    headline = fields.get("headline", f"Story {n} of the week")
    facts = {
        "canonical_url": f"https://meridian.example/story-{n}",
        "headline": headline,
        "headline_key": headline.casefold(),
        "dek": f"What story {n} is about, in one sentence.",
        "kicker_kind": "Analysis",
        "kicker_region": "Europe",
        "byline": "Ines Duarte",
        "published_at": NOW - dt.timedelta(days=1, minutes=n),
        "image_url": f"https://meridian.example/story-{n}.png",
        "image_alt": "A harbour at dusk",
        "image_alt_ok": True,
        "image_credit": "Photo: Meridian",
        "image_width": 1200,
        "image_height": 675,
        "first_seen_at": NOW - dt.timedelta(days=1),
        **fields,
    }
    row = Article(publication_id=publication.id, **facts)
    session.add(row)
    session.flush()
    return row


def issue(session: Session, publication: Publication, stories: int = 3, *, approved: bool = False) -> IssueView:
    """A draft of ``stories`` new articles as of ``NOW``, approved by an editor if asked."""
    for _ in range(stories):
        article(session, publication)
    view = issues.draft(session, publication.id, now=NOW)
    return issues.approve(session, view.id, by="editor@meridian.example") if approved else view
