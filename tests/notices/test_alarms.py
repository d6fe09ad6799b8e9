import datetime as dt

import pytest
from factories.staff import member
from sqlalchemy import select

from newsletter import notices, publications
from newsletter.delivery.models import Send, SendState
from newsletter.issues.models import Issue
from newsletter.kit import clock
from newsletter.notices import Notice
from newsletter.staff import Role


@pytest.fixture
def missed(database, weekly):
    """A send whose hour has passed; returns its id."""

    def call(state=SendState.MISSED, problem="", age=dt.timedelta(hours=3)):
        with database.transaction() as session:
            moment = clock.now()
            number = publications.take_number(session, weekly)
            times = {"cutoff_at": moment, "created_at": moment, "updated_at": moment}
            made = Issue(publication_id=weekly, number=number, date="2026-11-20", **times)
            session.add(made)
            session.flush()
            send = Send(
                issue_id=made.id,
                publication_id=weekly,
                state=state,
                send_at=moment - age,
                problem=problem,
                created_at=moment,
            )
            session.add(send)
            session.flush()
            return send.id

    return call


@pytest.fixture
def desk(database, weekly):
    with database.transaction() as session:
        member(session, "editor@brief.example", Role.EDITOR)
        member(session, "admin@brief.example", Role.ADMIN)
        member(session, "viewer@brief.example", Role.VIEWER)


def _alarms(database):
    with database.read() as session:
        return session.scalars(select(Notice).where(Notice.kind == "alarm").order_by(Notice.to_address)).all()


def test_a_missed_send_is_told_to_the_desk_once(database, relayed, inbox, missed, desk):
    send_id = missed()
    assert notices.send_due(database, relayed) == 2
    assert notices.send_due(database, relayed) == 0
    assert inbox.accepted == {"admin@brief.example": 1, "editor@brief.example": 1}
    mail = inbox.message_to("editor@brief.example")
    assert mail["Subject"] == "Foreign Brief no. 1 was not sent"
    assert f"http://news.example.test/studio/sends/{send_id}" in mail.get_body(("plain",)).get_content()


def test_a_send_that_stopped_by_itself_is_told_with_its_reason(database, settings, missed, desk):
    missed(SendState.PAUSED, "2 % of the readers refused it.")
    missed(SendState.PAUSED)  # by a person, who knows
    missed(SendState.SENDING, "The relay is slow.")
    notices.send_due(database, settings)
    assert {row.facts["sentence"] for row in _alarms(database)} == {"2 % of the readers refused it."}


def test_old_misses_are_not_dug_up(database, settings, missed, desk):
    missed(age=dt.timedelta(days=8))
    notices.send_due(database, settings)
    assert _alarms(database) == []
