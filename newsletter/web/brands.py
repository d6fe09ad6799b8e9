"""A publication's colours and fonts as a stylesheet of its own.

Promise: its address changes with the brand, so browsers may keep it; it holds
nothing but checked colours and font stacks. Reader pages take their look from
it, since the content policy allows no style in the markup.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from newsletter.editions.render import renderer
from newsletter.publications.brand import Brand
from newsletter.publications.models import Publication


@lru_cache(maxsize=64)
def stylesheet(brand: Brand) -> str:
    """Write the brand as CSS variables, light and dark."""
    return renderer().render("web/public/brand.css", brand=brand)


def digest(brand: Brand) -> str:
    """Return what tells this look from every other, 12 hex digits."""
    return hashed(stylesheet(brand))


def hashed(text: str) -> str:
    """Return 12 hex digits that change with the text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def url(publication: Publication) -> str:
    """Return the address of the stylesheet."""
    return f"/n/{publication.slug}/brand.css?v={digest(Brand.of(publication))}"
