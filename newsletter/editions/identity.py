"""Who a mail is from, as its templates show it: name, look, language, postal address.

Promise: every word is clean and every value is there, empty where the publication
has none. The weekly, the web version and the notices all wear the same identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from newsletter.editions.words import cleaned, one_line
from newsletter.publications.brand import DEFAULT, Brand
from newsletter.publications.models import Publication


@dataclass(frozen=True, slots=True)
class Identity:
    """The sender's side of a document; ``direction`` is ``ltr`` or ``rtl``, ``language`` a BCP 47 tag."""

    name: str
    tagline: str = ""
    language: str = "en"
    direction: str = "ltr"
    brand: Brand = DEFAULT
    website: str = ""
    postal_lines: tuple[str, ...] = ()

    @classmethod
    def of(cls, publication: Publication) -> Identity:
        """Return the identity of a publication."""
        postal = (one_line(line) for line in cleaned(publication.postal_address).split("\n"))
        return cls(
            name=one_line(publication.name),
            tagline=one_line(publication.tagline),
            language=publication.language,
            direction=publication.direction,
            brand=Brand.of(publication),
            website=publication.website,
            postal_lines=tuple(line for line in postal if line),
        )

    @property
    def website_name(self) -> str:
        """The website's host without ``www.``, for people to read; empty without a website."""
        return (urlsplit(self.website).hostname or "").removeprefix("www.")
