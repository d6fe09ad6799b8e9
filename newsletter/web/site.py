"""What every request of one application shares: settings, database, templates, static files.

Promise: made once by ``create_app``, frozen, and reached from a request by
``Site.of``. It opens no connection by itself. ``require_ready`` raises a
``NewsletterError`` while the database cannot be worked with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from newsletter.audience.links import Links
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.web.metrics import Metrics
from newsletter.web.statics import Statics


@dataclass(frozen=True, slots=True)
class Site:
    """The shared things of one application."""

    settings: Settings
    database: Database
    statics: Statics
    links: Links
    require_ready: Callable[[Database], None]
    metrics: Metrics = field(default_factory=Metrics)

    @classmethod
    def of(cls, request: Request) -> Site:
        """Return the site of the application that serves ``request``."""
        return cast("Site", request.app.state.site)

    @property
    def secure(self) -> bool:
        """Whether the public address is https, so that cookies may insist on it."""
        return self.settings.base_url.startswith("https://")
