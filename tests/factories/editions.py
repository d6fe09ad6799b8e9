"""Issues to render, as views made by hand: nothing here needs a database.

``week()`` is a realistic issue of a foreign-policy magazine that does not exist,
with everything that real input lacks: bylines, dates, images, alternative texts.
"""

import datetime as dt
import itertools

from newsletter.editions import Compiled
from newsletter.issues import IssueState, IssueView, PlacementView, SectionView
from newsletter.publications.models import Publication

BASE_URL = "https://news.meridian.example"
DAY = dt.date(2026, 11, 20)
NOTE = """\
Good afternoon. Three of the pieces below were finished on trains, which tells you what kind of week it was.

If you have time for one only, make it Ines Duarte on the strait: she counted ships for four days so that nobody \
else has to guess. The tide tables she used are at https://meridian.example/tides, and they are oddly beautiful.

We are back on Friday. Write to us; we answer."""

LEAD = {
    "headline": "The strait that nobody closed",
    "dek": "For nine days the insurers treated a narrow stretch of water as a war zone. No shot was fired. "
    "What the panic did to trade will outlast its cause.",
    "kicker_kind": "Analysis",
    "kicker_region": "Indian Ocean",
    "byline": "Ines Duarte",
    "image_alt": "Container ships waiting at anchor in evening haze",
    "image_caption": "Ships at anchor off the eastern approach, photographed from the pilot station.",
    "image_credit": "Photo: Tomas Vell / Meridian",
}
SECTIONS = {
    "Europe": [
        {
            "headline": "A customs union learns to say no",
            "dek": "The smallest member has a veto and, for the first time, a reason to use it.",
            "kicker_region": "Europe",
            "byline": "Marta Lindqvist",
            "image_alt": "Lorries queueing at a border crossing in rain",
            "image_credit": "Photo: Jonas Ekdahl",
        },
        {
            "headline": "Grain, guns and the new Danube commission",
            "dek": "An institution founded to dredge sandbanks now decides who may move ammunition.",
            "kicker_region": "Europe",
            "byline": "Petru Ionescu and Hanna Weiss",
            "image_alt": "",
            "image_alt_ok": False,
            "image_credit": "",
        },
        {
            "headline": "Why the north pays for the south's batteries",
            "dek": "",
            "kicker_kind": "Opinion",
            "kicker_region": "",
            "byline": "",
            "published_at": None,
            "image_url": "",
        },
    ],
    "Middle East": [
        {
            "headline": "Can the ceasefire survive its guarantors?",
            "dek": "Three capitals signed as witnesses. Two of them are rearming the parties.",
            "kicker_region": "Middle East",
            "byline": "Salma Haddad",
            "image_alt": "A market street under awnings, seen from above",
            "image_credit": "Photo: Karim Saab",
        },
        {
            "headline": "The water ministers meet, and for once the engineers are in the room",
            "dek": "A draft treaty on the shared aquifer has survived its fourth round. Its authors explain what "
            "they left out so that it could.",
            "kicker_kind": "Reporting",
            "kicker_region": "Middle East",
            "byline": "Noor Aziz",
            "image_alt": "Surveyors with instruments on a dry river bed",
            "image_credit": "Photo: Noor Aziz",
        },
        {
            "headline": "An embassy reopens behind the same blue door",
            "dek": "After eleven years the caretaker hands back the keys, and a list of repairs.",
            "kicker_kind": "Dispatch",
            "kicker_region": "Middle East",
            "byline": "Elias Tannous",
            "image_url": "",
        },
    ],
    "Africa": [
        {
            "headline": "The juntas discover diplomacy",
            "dek": "Isolation turned out to be expensive. The new foreign ministers have read the bill.",
            "kicker_region": "Africa",
            "byline": "Aminata Kone",
            "image_alt": "Delegates leaving a conference hall at night",
            "image_credit": "Photo: Ousmane Barry / Meridian",
        },
        {
            "headline": "Who owns a lithium town?",
            "dek": "A mayor, a mine and a ministry each have a map. No two agree.",
            "kicker_kind": "Reporting",
            "kicker_region": "Africa",
            "byline": "Grace Mwansa",
            "image_alt": "Terraces of an open mine in morning light",
            "image_credit": "Photo: Grace Mwansa",
        },
    ],
    "In brief": [
        {
            "headline": "Arctic council keeps its chairs, loses its table",
            "dek": "The seven sit again, in a borrowed room.",
            "kicker_kind": "",
            "kicker_region": "",
            "byline": "",
            "image_url": "",
        },
        {
            "headline": "What we got wrong about the canal",
            "dek": "Last month we said that the second lock would open in spring. It will not; our map was older "
            "than the flood.",
            "kicker_kind": "Correction",
            "kicker_region": "",
            "byline": "The editors",
            "image_url": "",
        },
        {
            "headline": "Podcast: the interpreter's version",
            "dek": "Thirty years between two presidents, and the jokes that could not be translated.",
            "kicker_kind": "Podcast",
            "kicker_region": "",
            "byline": "Lucia Ferrant",
            "image_url": "",
        },
    ],
}


def publication(**fields) -> Publication:
    """A publication that no database knows."""
    facts = {
        "id": 1,
        "slug": "meridian",
        "name": "The Meridian",
        "tagline": "The week in foreign policy, read slowly",
        "from_name": "The Meridian Review",
        "from_address": "desk@meridian.example",
        "reply_to": "letters@meridian.example",
        "postal_address": "12 Harbour Lane\n1100-148 Lisbon\nPortugal",
        "timezone": "Europe/Lisbon",
        "language": "en",
        "direction": "ltr",
        "website": "https://www.meridian.example",
        "theme": "weekly",
        "brand": {},
        "tracking": True,
        **fields,
    }
    return Publication(**facts)


def placement(n: int = 1, **fields) -> PlacementView:
    """One story; ``original_headline`` and ``original_dek`` follow the words unless told otherwise."""
    facts = {
        "id": n,
        "article_id": 100 + n,
        "lead": False,
        "headline": f"Story {n}",
        "dek": f"What story {n} is about.",
        "kicker_kind": "Analysis",
        "kicker_region": "Europe",
        "byline": "Ines Duarte",
        "published_at": dt.datetime(2026, 11, 18, 9, 30, tzinfo=dt.UTC),
        "url": f"https://meridian.example/2026/11/story-{n}",
        "image_url": f"https://pictures.meridian.example/{n}.jpg",
        "image_alt": "A harbour at dusk",
        "image_alt_ok": True,
        "image_caption": "",
        "image_credit": "Photo: Meridian",
        "image_width": 1200,
        "image_height": 800,
        "show_image": True,
        "version": 1,
        **fields,
    }
    facts.setdefault("original_headline", facts["headline"])
    facts.setdefault("original_dek", facts["dek"])
    return PlacementView(**facts)


def view(*sections: tuple[str, list[PlacementView]], **fields) -> IssueView:
    """An issue of the given sections."""
    facts = {
        "id": 1,
        "publication_id": 1,
        "number": 42,
        "date": DAY,
        "title": "",
        "subject": "The strait that nobody closed",
        "preheader": "Nine days of panic, a treaty with engineers in the room, and who owns a lithium town",
        "note": "Good afternoon.",
        "state": IssueState.DRAFT,
        "version": 1,
        "cutoff_at": dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC),
        "approved_by": "",
        "approved_at": None,
        "approved_hash": "",
        "touched": True,
        "lead_reason": "",
        **fields,
    }
    views = tuple(SectionView(n, name, tuple(placements)) for n, (name, placements) in enumerate(sections, 1))
    return IssueView(sections=views, **facts)


def week(**fields) -> IssueView:
    """The realistic issue: a lead and eleven stories in four sections, with a note."""
    numbers = itertools.count(2)
    sections = [(name, [placement(next(numbers), **facts) for facts in stories]) for name, stories in SECTIONS.items()]
    sections[0][1].insert(0, placement(1, lead=True, **LEAD))
    return view(*sections, **{"note": NOTE, "title": "", **fields})


def stories(count: int, **fields) -> IssueView:
    """An issue of ``count`` like stories, the first of them the lead."""
    return view(("Europe", [placement(n, lead=n == 1) for n in range(1, count + 1)]), **fields)


VALUES = {
    "to": "Ana Reader <ana@reader.example>",
    "date": "Fri, 20 Nov 2026 15:00:00 +0000",
    "message_id": "42.7f3a@meridian.example",
    "leave_token": "AQIqbm93LWEtdG9rZW4xMjM0",
    "bounce_address": "b+aebagbaf4x7yq@bounces.meridian.example",
    "feedback_id": "42:1:newsletter:meridian",
    "preferences_token": "AgEqcHJlZmVyZW5jZXMtdG9rZW4",
    "track_token": "KgFvcGVuLWFuZC1jbGljaw",
}


def filled(compiled: Compiled, **values: str) -> bytes:
    """The message for one reader: ``VALUES``, and fields such as ``first_name``."""
    known = VALUES | values
    return compiled.join([slot.encode(known.get(slot.field or slot.name, "")) for slot in compiled.slots])
