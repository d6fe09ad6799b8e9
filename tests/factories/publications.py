"""Publications for tests, made through the room's own door."""

from sqlalchemy.orm import Session

from newsletter import publications
from newsletter.publications import Publication

POSTAL = "The Meridian Review\n12 Harbour Lane\nLisbon, Portugal"


def publication(session: Session, slug: str = "weekly", **fields) -> Publication:
    """A publication with everything that sending needs; ``fields`` as in ``publications.create``."""
    facts = {
        "name": "The Meridian Weekly",
        "sender": "The Meridian Review <desk@meridian.example>",
        "postal_address": POSTAL,
        "timezone": "Europe/Lisbon",
        **fields,
    }
    return publications.create(session, slug=slug, **facts)
