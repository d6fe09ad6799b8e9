"""Two publications, a secret and the links that every test of this room starts from."""

from __future__ import annotations

import pytest
from factories.audience import SECRET
from factories.publications import publication

from newsletter.audience.links import Links


@pytest.fixture
def titles(database) -> dict[str, int]:
    with database.transaction() as opened:
        return {slug: publication(opened, slug, name=name).id for slug, name in TITLES.items()}


TITLES = {"weekly": "Foreign Brief", "daily": "Morning Brief"}


@pytest.fixture
def weekly(titles) -> int:
    return titles["weekly"]


@pytest.fixture
def daily(titles) -> int:
    return titles["daily"]


@pytest.fixture
def session(titles, database):
    """As everywhere, one transaction; the publications are committed before it begins."""
    with database.transaction() as opened:
        yield opened


@pytest.fixture
def secret() -> bytes:
    return SECRET


@pytest.fixture
def links(secret) -> Links:
    return Links("https://news.example.test/", secret)
