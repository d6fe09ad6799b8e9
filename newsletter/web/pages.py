"""Pages out of templates/web/, by the one shared renderer.

Promise: every template finds ``ui`` (``UI`` below: formats and addresses of
static files) and the facts its handler gives; whatever people wrote is escaped.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from newsletter.editions.render import renderer
from newsletter.publications.brand import Brand
from newsletter.publications.models import Publication
from newsletter.web import brands, formats
from newsletter.web.site import Site
from newsletter.web.words import DELIVERY_STATES


class UI:
    """What templates may call."""

    fmt: ModuleType = formats

    def __init__(self, site: Site) -> None:
        self._site = site

    def asset(self, name: str) -> str:
        """Return the address of a static file."""
        return self._site.statics.url(name)

    def brand(self, publication: Publication) -> str:
        """Return the address of a publication's own colours."""
        return brands.url(publication)

    def look(self, publication: Publication) -> Brand:
        """Return a publication's colours, fonts and logo."""
        return Brand.of(publication)

    def outside(self, url: str) -> str:
        """Return an address that others gave, if it leads to the web and nowhere else."""
        return url if url.startswith(("https://", "http://")) else ""

    def meaning(self, state: str) -> str:
        """Say what a state of a delivery means."""
        return DELIVERY_STATES[state]

    def public(self, path: str) -> str:
        """Return the full public address of a path, to be given away."""
        return self._site.settings.base_url + path


def render(site: Site, template: str, **facts: Any) -> str:  # noqa: ANN401 - facts are what the template names
    """Fill a template of templates/web/."""
    return renderer().render(f"web/{template}", ui=UI(site), **facts)
