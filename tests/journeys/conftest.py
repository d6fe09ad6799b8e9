"""One installation through its real processes, on the database that the run is about."""

from __future__ import annotations

import pytest
from journeys.house import House


@pytest.fixture
def house(databases, mailbox, tmp_path):
    """An installation whose relay is the test's mailbox; nothing runs yet."""
    url = databases.empty_url()
    home = House(tmp_path, {
        "DATABASE_URL": url,
        "SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}",
        "FETCH_ALLOW": "127.0.0.1",
        "BOUNCE_DOMAIN": "bounces.meridian.example",
    })  # fmt: skip
    yield home
    home.stop()
    databases.drop(url)
