from collections.abc import Iterator

import pytest
from factories.articles import FeedServer
from factories.publications import publication

from newsletter.db import Database


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as running:
        yield running


@pytest.fixture
def publication_id(database: Database) -> int:
    with database.transaction() as session:
        return publication(session).id
