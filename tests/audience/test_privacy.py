import json

import pytest
from factories.audience import subscriber
from sqlalchemy import func, select

from newsletter import audience
from newsletter.audience import Reader, SuppressionReason
from newsletter.audience.models import (
    ConfirmationRequest,
    Consent,
    StatusChange,
    Subscriber,
    Subscription,
    Suppression,
)
from newsletter.db import Base
from newsletter.errors import NotFound


@pytest.fixture
def ana(session, secret, weekly):
    asked = audience.ask(
        session,
        secret,
        email="Ana@example.org",
        publication_id=weekly,
        source="form",
        wording="2026-11",
        network="198.51.100.7",
    )
    audience.set_preferences(session, Reader(weekly, asked.subscriber_id), first_name="Ana", wanted={weekly: True})
    return asked.subscriber_id


def test_a_copy_holds_everything_and_is_json(session, ana, weekly):
    copy = json.loads(json.dumps(audience.personal_data(session, ana).as_json()))
    assert copy["subscriber"]["email"] == "Ana@example.org"
    assert copy["subscriber"]["memberships"][0]["status"] == "active"
    assert [row["kind"] for row in copy["subscriber"]["consents"]] == ["asked", "confirmed"]
    assert len(copy["confirmation_requests"]) == 1


def test_erasing_leaves_one_hashed_suppression(session, secret, ana):
    assert audience.erase(session, secret, "ANA@example.org", evidence="Asked for at the preference page.")
    for table in (Subscriber, Subscription, Consent, StatusChange, ConfirmationRequest):
        assert session.scalar(select(func.count()).select_from(table)) == 0, table
    left = session.scalars(select(Suppression)).one()
    assert (left.reason, left.publication_id) == (SuppressionReason.ERASED, None)
    for table in Base.metadata.sorted_tables:
        for row in session.execute(select(table)):
            assert "ana@" not in str(row).casefold(), table.name


def test_erasing_again_says_that_nothing_was_there(session, secret, ana):
    audience.erase(session, secret, "ana@example.org")
    assert not audience.erase(session, secret, "ana@example.org")
    assert session.scalar(select(func.count()).select_from(Suppression)) == 1


def test_erasing_touches_nobody_else(session, secret, ana, weekly):
    subscriber(session, secret, "ben@example.org", weekly)
    audience.erase(session, secret, "ana@example.org")
    assert audience.show(session, "ben@example.org").memberships


def test_nobody_with_that_address_is_told(session, secret):
    with pytest.raises(NotFound):
        audience.erase(session, secret, "nobody@example.org")
    with pytest.raises(NotFound):
        audience.personal_data(session, 999)


def test_a_complaint_outlives_erasure(session, secret, ana, weekly):
    audience.mark_complained(session, ana, evidence="Reported as spam.")
    audience.erase(session, secret, "ana@example.org")
    asked = audience.ask(session, secret, email="ana@example.org", publication_id=weekly, source="form", wording="")
    assert asked.outcome is audience.Outcome.SUPPRESSED
