"""Making a publication and changing it.

Promise: values are checked before anything is written, and a wrong one is an
``Invalid`` that names its field. Nothing here sends or schedules anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.errors import Conflict, NotFound
from newsletter.kit import clock
from newsletter.publications import brand, checks
from newsletter.publications.models import DeadlineRule, Publication, UncertainPolicy
from newsletter.publications.sectioning import DEFAULT, set_blueprint


class Details(TypedDict, total=False):
    """What may be left to its default when a publication is made."""

    tagline: str
    reply_to: str
    language: str
    direction: str
    website: str
    theme: str
    brand: Mapping[str, Any]  # fields of brand.Brand that differ from the defaults
    uncertain_policy: str
    tracking: bool


class Fields(Details, total=False):
    """Everything about a publication that a person may change; the slug is in readers' links and stays."""

    name: str
    sender: str  # "Name <address>" or a bare address
    postal_address: str
    timezone: str
    deadline_rule: str


def create(
    session: Session,
    *,
    slug: str,
    name: str,
    sender: str,
    postal_address: str,
    timezone: str,
    deadline_rule: str = DeadlineRule.HOLD,
    **more: Unpack[Details],
) -> Publication:
    """Make a publication with the default blueprint; ``Conflict`` if the slug is taken."""
    slug = checks.slug(slug)
    if session.scalar(select(Publication.id).where(Publication.slug == slug)) is not None:
        raise Conflict(f"There is a publication “{slug}” already.")
    needed: Fields = {
        "name": name,
        "sender": sender,
        "postal_address": postal_address,
        "timezone": timezone,
        "deadline_rule": deadline_rule,
    }
    publication = Publication(slug=slug, created_at=clock.now(), **_columns({**needed, **more}))
    session.add(publication)
    session.flush()
    set_blueprint(session, publication, DEFAULT)
    return publication


def update_fields(session: Session, publication: Publication, **fields: Unpack[Fields]) -> Publication:
    """Change the given fields; issues that are being sent or were sent are not touched."""
    for column, value in _columns(fields).items():
        setattr(publication, column, value)
    session.add(publication)
    session.flush()
    return publication


def take_number(session: Session, publication_id: int) -> int:
    """Return the number of the next issue and move on; two callers never get the same one."""
    statement = (
        update(Publication)
        .where(Publication.id == publication_id)
        .values(next_number=Publication.next_number + 1)
        .returning(Publication.next_number)
    )
    following = session.scalar(statement)
    if following is None:
        raise NotFound(f"There is no publication with the id {publication_id}.")
    return following - 1


def _name(value: str) -> str:
    return checks.line(value, "name", limit=checks.MAX_NAME, needed=True)


def _tagline(value: str) -> str:
    return checks.line(value, "tagline", limit=checks.MAX_TAGLINE)


def _brand(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what differs from the defaults, so that better defaults reach every publication."""
    checked = brand.checked(values)
    return {name: getattr(checked, name) for name in values if getattr(checked, name) != getattr(brand.DEFAULT, name)}


def _deadline_rule(value: str) -> DeadlineRule:
    return checks.choice(DeadlineRule, value, "deadline_rule")


def _uncertain_policy(value: str) -> UncertainPolicy:
    return checks.choice(UncertainPolicy, value, "uncertain_policy")


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "name": _name,
    "tagline": _tagline,
    "reply_to": checks.reply_to,
    "postal_address": checks.postal_address,
    "timezone": checks.timezone,
    "language": checks.language,
    "direction": checks.direction,
    "website": checks.website,
    "theme": checks.theme,
    "brand": _brand,
    "deadline_rule": _deadline_rule,
    "uncertain_policy": _uncertain_policy,
    "tracking": bool,
}


def _columns(fields: Fields) -> dict[str, Any]:
    """Check every field and return the columns to store."""
    columns: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "sender":
            columns["from_name"], columns["from_address"] = checks.sender(str(value))
        else:
            columns[name] = _CHECKS[name](value)
    return columns
