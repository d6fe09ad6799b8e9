"""The sections that every issue of a publication starts with.

Promise: ``set_blueprint`` replaces the whole blueprint or changes nothing. An
issue that exists already keeps its sections.

A section takes stories whose kind ("Analysis"), region ("Middle East") or
source's section ("Blog") it names, whatever the case; the first section that
names a story gets it. A section that names nothing takes what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from newsletter.errors import Invalid
from newsletter.publications import checks
from newsletter.publications.models import BlueprintSection, Publication

MAX_SECTIONS: Final = 30
MAX_TAKES: Final = 50
MAX_CAP: Final = 100


@dataclass(frozen=True, slots=True)
class SectionRule:
    """One section: its name, what it takes (nothing named: what is left), and how many stories at most."""

    name: str
    takes: tuple[str, ...] = ()
    cap: int = 12


DEFAULT: Final = (
    SectionRule("Analysis", ("Analysis", "Feature", "Essay", "Report", "Investigation", "Interview"), 8),
    SectionRule("News and briefs"),
    SectionRule("Voices", ("Opinion", "Voices", "Comment", "Commentary", "Viewpoint", "Letters"), 6),
)


def set_blueprint(session: Session, publication: Publication, rules: Sequence[SectionRule]) -> list[BlueprintSection]:
    """Replace the blueprint; raises ``Invalid`` (field ``blueprint``) when an issue could not be filled by it."""
    clean = _checked(rules)
    session.execute(delete(BlueprintSection).where(BlueprintSection.publication_id == publication.id))
    sections = [
        BlueprintSection(
            publication_id=publication.id, position=position, name=rule.name, takes=list(rule.takes), cap=rule.cap
        )
        for position, rule in enumerate(clean)
    ]
    session.add_all(sections)
    session.flush()
    return sections


def _checked(rules: Sequence[SectionRule]) -> list[SectionRule]:
    if not 1 <= len(rules) <= MAX_SECTIONS:
        raise Invalid(f"A blueprint has 1 to {MAX_SECTIONS} sections, not {len(rules)}.", field="blueprint")
    clean = [_checked_rule(rule) for rule in rules]
    names = [rule.name.casefold() for rule in clean]
    if twice := next((rule.name for rule in clean if names.count(rule.name.casefold()) > 1), None):
        raise Invalid(f"Two sections are called “{twice}”.", field="blueprint")
    rest = [rule.name for rule in clean if not rule.takes]
    if len(rest) > 1:
        message = f"“{rest[0]}” and “{rest[1]}” would both take what is left; say what one of them takes."
        raise Invalid(message, field="blueprint")
    return clean


def _checked_rule(rule: SectionRule) -> SectionRule:
    try:
        name = checks.line(rule.name, "section's name", limit=checks.MAX_NAME, needed=True)
        takes = tuple(dict.fromkeys(checks.line(word, "word", limit=checks.MAX_NAME) for word in rule.takes))
    except Invalid as error:
        raise Invalid(error.message, field="blueprint") from error
    if not 1 <= rule.cap <= MAX_CAP or len(takes) > MAX_TAKES:
        message = f"“{name}” may hold 1 to {MAX_CAP} stories and name at most {MAX_TAKES} kinds or regions."
        raise Invalid(message, field="blueprint")
    return SectionRule(name, tuple(word for word in takes if word), rule.cap)
