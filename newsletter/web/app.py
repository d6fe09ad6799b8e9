"""The web application, put together.

Promise: ``create_app`` opens no port and no connection; it only names what
answers where. Whatever answers is in ``ROUTERS``, and each says by the type of
its visit who may call it. Handlers are plain functions: they run in threads,
because database sessions wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI
from sqlalchemy import select

from newsletter.audience import Links
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.publications.models import Publication
from newsletter.web import errors, health
from newsletter.web.api import v1
from newsletter.web.editor import (
    arranging,
    composer,
    desk,
    newsletters,
    readers,
    reporting,
    sending,
    sign_in,
    stories,
)
from newsletter.web.metrics import Counting
from newsletter.web.public import archive, joining, leaving, preferences
from newsletter.web.security import SecurityHeaders
from newsletter.web.site import Site
from newsletter.web.statics import PREFIX, Statics
from newsletter.web.track.counting import Tracker

MAX_BODY: Final = 1_000_000  # bytes of a request; the largest form is an issue's note

ROUTERS: Final = (
    joining.routes,
    archive.routes,
    leaving.routes,
    preferences.routes,
    sign_in.routes,
    desk.routes,
    newsletters.routes,
    stories.routes,
    composer.routes,
    arranging.routes,
    sending.routes,
    reporting.routes,
    readers.routes,
    health.routes,
    v1.routes,
)


def has_tables(database: Database) -> None:
    """Ask for one row; the least that must work. The command line asks for the tables' version too."""
    with database.read() as session:
        session.execute(select(Publication.id).limit(1))


def create_app(
    settings: Settings, database: Database, *, require_ready: Callable[[Database], None] = has_tables
) -> FastAPI:
    """Return the application; ``require_ready`` raises a ``NewsletterError`` while it cannot serve."""
    site = Site(settings, database, Statics.load(), Links(settings.base_url, settings.secret), require_ready)
    tracker = Tracker(settings, database)
    app = FastAPI(
        title="Newsletter",
        description="Read-only figures of newsletters, issues, sends and reports.",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=partial(_lifespan, tracker=tracker),
        max_body_size=MAX_BODY,
    )
    app.state.site = site
    errors.install(app)
    app.add_middleware(SecurityHeaders, secure=site.secure)
    app.add_middleware(Counting, metrics=site.metrics)
    app.add_route(PREFIX + "{name}", site.statics.serve)
    app.add_route("/c/{token}/{n:int}", tracker.click)
    app.add_route("/o/{token}.gif", tracker.open)
    for router in ROUTERS:
        app.include_router(router)
    return app


@asynccontextmanager
async def _lifespan(_app: FastAPI, tracker: Tracker) -> AsyncIterator[None]:
    """Write down what was counted before the process ends."""
    yield
    tracker.close()
