import email
import email.policy

import pytest
from factories.audience import SECRET, subscriber
from factories.delivery import begun
from factories.issues import issue
from factories.publications import publication
from sqlalchemy import func, select

from newsletter import delivery, issues
from newsletter.editions.models import Edition
from newsletter.errors import Invalid


@pytest.fixture
def relayed(settings):
    return settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})


def render(database, settings, issue_id, address):
    with database.read() as session:
        raw = delivery.render_for(session, settings, issue_id, address)
        assert not session.new
        assert not session.dirty
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_a_preview_is_what_would_be_sent_and_keeps_nothing(database, settings):
    with database.transaction() as session:
        made = publication(session)
        view = issue(session, made)
        subscriber(session, SECRET, "ana@example.org", made.id, first_name="Ana", last_name="Lopes")
    message = render(database, settings, view.id, "Ana@Example.org")
    assert message["To"] == "Ana Lopes <ana@example.org>"
    assert message["Subject"] == view.subject
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Edition)) == 0


def test_a_stranger_may_see_a_preview(database, settings):
    with database.transaction() as session:
        view = issue(session, publication(session))
    assert render(database, settings, view.id, "stranger@example.org")["To"] == "stranger@example.org"
    with pytest.raises(Invalid):
        render(database, settings, view.id, "no address")


def test_after_the_freeze_it_is_the_frozen_message_whatever_changed_since(database, relayed):
    send_id = begun(database, relayed, 1)
    with database.read() as session:
        issue_id = delivery.status(session, send_id).issue
        view = issues.get(session, issue_id)
    before = render(database, relayed, issue_id, "reader1@example.org")
    with database.transaction() as session:
        session.get(issues.models.Issue, issue_id).subject = "Something else"
    after = render(database, relayed, issue_id, "reader1@example.org")
    assert after.as_bytes() == before.as_bytes()
    assert after["Subject"] == view.subject
