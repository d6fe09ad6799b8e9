"""Preflight: what stands between an issue and its readers, said before it is sent.

Promise: the whole list at once, what blocks first; the studio, the command line
and the sending ask the same function. It composes the issue exactly as freezing
would, fetches nothing and changes nothing.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from newsletter import issues, publications
from newsletter.config import Settings
from newsletter.editions.checks import message, sender, stories, words
from newsletter.editions.checks.finding import Case, Check, Finding, block
from newsletter.editions.compose import Composed, compose
from newsletter.editions.queries import used_elsewhere
from newsletter.errors import Invalid
from newsletter.issues import IssueView
from newsletter.publications.models import Publication

CHECKS: tuple[Check, ...] = (
    words.subject,
    words.preheader,
    words.merge_tags,
    words.placeholders,
    words.day_names,
    stories.stories,
    stories.headlines,
    stories.deks,
    stories.used_before,
    stories.pictures,
    stories.links,
    sender.postal_address,
    sender.server,
    message.size,
    message.parts,
    message.markup,
)


def preflight(session: Session, issue_id: int, settings: Settings) -> list[Finding]:
    """Return everything that blocks the issue or deserves a look; empty when all is well."""
    issue = issues.get(session, issue_id)
    publication = publications.by_id(session, issue.publication_id)
    return checked(issue, publication, settings.base_url, used_elsewhere(session, issue))


def checked(issue: IssueView, publication: Publication, base_url: str, used: dict[int, int]) -> list[Finding]:
    """Run every check on an issue; ``used`` has the numbers of other issues by the articles' ids."""
    composed, problem = _composed(issue, publication, base_url)
    case = Case(issue, publication, base_url, used, composed)
    found = [finding for check in CHECKS for finding in check(case)]
    if problem and not any(finding.level == "block" for finding in found):
        found.append(problem)
    return sorted(found, key=lambda finding: finding.level != "block")


def _composed(issue: IssueView, publication: Publication, base_url: str) -> tuple[Composed | None, Finding | None]:
    """Compose the issue; a check names most of what can stop that, this finding names the rest."""
    try:
        return compose(issue, publication, base_url), None
    except Invalid as error:
        where = error.field if error.field in ("subject", "preheader", "note", "theme") else "publication"
        return None, block("cannot be composed", error.message, where)
