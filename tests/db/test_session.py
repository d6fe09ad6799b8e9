import datetime as dt

import pytest
from sqlalchemy import select

from newsletter.db import after_commit, later, now
from newsletter.publications.models import Publication


def _publication(slug="weekly"):
    return Publication(
        slug=slug,
        name="Weekly",
        from_name="Desk",
        from_address="desk@example.org",
        postal_address="1 Street",
        timezone="UTC",
        created_at=dt.datetime(2026, 11, 20, 15, 0, 0, 123456, tzinfo=dt.UTC),
    )


def test_an_instant_comes_back_as_it_went_in(database):
    with database.transaction() as session:
        session.add(_publication())
    with database.read() as session:
        row = session.scalars(select(Publication)).one()
    assert row.created_at == dt.datetime(2026, 11, 20, 15, 0, 0, 123456, tzinfo=dt.UTC)


def test_a_naive_instant_is_refused(database):
    from sqlalchemy.exc import StatementError

    with pytest.raises(StatementError, match="naive"), database.transaction() as session:
        row = _publication()
        row.created_at = dt.datetime(2026, 11, 20, 15, 0)  # noqa: DTZ001 - the point of the test
        session.add(row)


def test_the_databases_clock_compares_with_stored_instants(database):
    with database.transaction() as session:
        session.add(_publication())
    with database.read() as session:
        assert session.scalar(select(Publication.id).where(Publication.created_at < now())) is not None
        assert session.scalar(select(Publication.id).where(Publication.created_at > later(60))) is None
        ahead = session.scalar(select(later(90))) - session.scalar(select(now()))
    assert dt.timedelta(seconds=89) < ahead < dt.timedelta(seconds=91)


def test_after_commit_runs_only_when_the_commit_happened(database):
    ran = []
    with database.transaction() as session:
        after_commit(session, lambda: ran.append("kept"))
        assert not ran
    with pytest.raises(RuntimeError), database.transaction() as session:
        after_commit(session, lambda: ran.append("lost"))
        raise RuntimeError
    assert ran == ["kept"]


def test_an_exception_rolls_everything_back(database):
    with pytest.raises(RuntimeError), database.transaction() as session:
        session.add(_publication())
        session.flush()
        raise RuntimeError
    with database.read() as session:
        assert session.scalars(select(Publication)).all() == []
