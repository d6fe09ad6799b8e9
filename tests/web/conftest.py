"""The application over the test's database, and people in front of it."""

import pytest
from factories.web import Person, a_week, signed_in

from newsletter.staff import Role
from newsletter.web.app import create_app


@pytest.fixture
def app(settings, database):
    return create_app(settings, database)


@pytest.fixture
def visitor(app):
    """Somebody who has not signed in."""
    return Person(app)


@pytest.fixture
def admin(app, database):
    return signed_in(app, database, Role.ADMIN)


@pytest.fixture
def editor(app, database):
    return signed_in(app, database, Role.EDITOR)


@pytest.fixture
def writer(app, database):
    return signed_in(app, database, Role.WRITER)


@pytest.fixture
def viewer(app, database):
    return signed_in(app, database, Role.VIEWER)


@pytest.fixture
def week(database, settings, mailbox):
    """A newsletter in full swing: an issue sent, bounced, read and left; another in draft."""
    return a_week(database, settings, mailbox)
