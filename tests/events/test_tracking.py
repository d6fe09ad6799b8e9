"""Opens and clicks: counted without waiting, also when the database is away."""

from __future__ import annotations

import time

import pytest
from factories.audience import SECRET
from factories.events import sent
from sqlalchemy import func, select, update

from newsletter.db import Database
from newsletter.delivery.models import Delivery, DeliveryState, Recipient, Send
from newsletter.editions.models import EditionLink
from newsletter.errors import BadToken
from newsletter.events import Asked, EventKind, Recorder, Targets, Verdict, open_token
from newsletter.events.models import Event
from newsletter.kit.tokens import Sealer

ADA, BEN = "ada@readers.example", "ben@readers.example"
PERSON = Asked(user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")


@pytest.fixture
def over(database):
    with database.transaction() as session:
        return sent(session)


def events(database):
    with database.read() as session:
        return list(session.scalars(select(Event).order_by(Event.id)))


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_hits_are_written_within_a_moment(database, settings, over):
    with Recorder(database, settings) as recorder:
        recorder.click(over.send_id, 1, 2, PERSON)
        recorder.open(over.send_id, 2, PERSON)
        until(lambda: len(events(database)) == 2, seconds=2)
    click, opened = sorted(events(database), key=lambda event: event.kind)
    assert (click.kind, click.seq, click.link, click.verdict) == (EventKind.CLICKED, 1, 2, Verdict.HUMAN)
    assert click.subscriber_id == over.readers[ADA]
    assert (opened.kind, opened.seq, opened.link) == (EventKind.OPENED, 2, None)


def test_closing_writes_what_is_left(database, settings, over):
    recorder = Recorder(database, settings)
    for _ in range(2500):
        recorder.open(over.send_id, 1, PERSON)
    recorder.close()
    assert len(events(database)) == 2500
    assert recorder.dropped == 0


def test_a_token_names_its_copy_and_nothing_else_opens():
    token = Sealer(SECRET, "track").seal(7, 3)
    assert (open_token(SECRET, token).send_id, open_token(SECRET, token).seq) == (7, 3)
    with pytest.raises(BadToken):
        open_token(SECRET, Sealer(SECRET, "bounce").seal(7, 3))


def test_hits_of_nobody_and_of_readers_who_want_no_tracking_name_nobody(database, settings, over):
    with database.transaction() as session:
        session.execute(update(Recipient).where(Recipient.seq == 1).values(tracking=False))
    with Recorder(database, settings) as recorder:
        recorder.click(over.send_id, 0, 1, PERSON)
        recorder.click(over.send_id, 1, 1, PERSON)
        recorder.click(over.send_id, 999, 1, PERSON)  # no such copy
    assert [(e.seq, e.subscriber_id) for e in events(database)] == [(None, None), (None, None)]


def test_a_burst_of_links_is_a_scanner_also_over_two_batches(database, settings, over):
    with Recorder(database, settings) as recorder:
        for n in (1, 2):
            recorder.click(over.send_id, 1, n, PERSON)
        until(lambda: len(events(database)) == 2)
        for n in (9, 10):
            recorder.click(over.send_id, 1, n, PERSON)
        recorder.click(over.send_id, 2, 1, PERSON)
    assert {(e.seq, e.verdict) for e in events(database)} == {(1, Verdict.SCANNER), (2, Verdict.HUMAN)}


def test_what_comes_while_the_database_is_away_is_stored_when_it_is_back(database, settings, over, tmp_path, caplog):
    away = Database(f"sqlite:///{tmp_path / 'no-tables.db'}")
    with Recorder(away, settings) as recorder:
        for n in range(3):
            recorder.click(over.send_id, 1, n + 1, PERSON)
        until(lambda: list((settings.data_dir / "hits").glob("*.hits")))
        recorder.open(over.send_id, 2, PERSON)  # while it is known to be away
    away.dispose()
    spilled = "".join(path.read_text() for path in (settings.data_dir / "hits").glob("*.hits"))
    assert spilled.count("clicked") == 3
    assert "Firefox" not in spilled
    assert events(database) == []

    with Recorder(database, settings) as recorder:  # another process, later
        recorder.open(over.send_id, 3, PERSON)
    assert sorted(e.seq for e in events(database)) == [1, 1, 1, 2, 3]
    assert list((settings.data_dir / "hits").iterdir()) == []
    assert "database is away" in caplog.text


def test_the_recorder_itself_recovers_when_the_database_does(database, settings, over, caplog):
    with database.connection() as connection:
        Event.__table__.drop(connection)
    with Recorder(database, settings) as recorder:
        recorder.click(over.send_id, 1, 1, PERSON)
        until(lambda: list((settings.data_dir / "hits").glob("*.hits")))
        with database.connection() as connection:
            Event.__table__.create(connection)
        until(lambda: len(events(database)) == 1)
        recorder.click(over.send_id, 2, 1, PERSON)
        until(lambda: len(events(database)) == 2, seconds=2)
    assert "database is away" in caplog.text


def test_a_batch_that_is_replayed_twice_counts_once(database, settings, over, tmp_path):
    from newsletter.events.hits import store
    from newsletter.events.spill import Hit, Spill
    from newsletter.kit import clock

    spill = Spill(tmp_path / "spilled")
    spill.put([Hit(clock.now(), EventKind.CLICKED, over.send_id, 1, 1, Verdict.HUMAN)] * 2)
    ((_, hits),) = list(spill.batches())
    for _ in range(2):
        with database.connection() as connection:
            store(connection, hits)
    assert len(events(database)) == 2


def test_a_damaged_batch_does_not_hold_up_the_others(database, settings, over, caplog):
    folder = settings.data_dir / "hits"
    folder.mkdir(parents=True)
    (folder / "0.hits").write_text('["2026-')
    (folder / "1.hits").write_text(
        f'["2026-11-20T15:00:00+00:00", "opened", {over.send_id}, 1, 0, "human", "spill:1:0"]\n'
    )
    with Recorder(database, settings) as recorder:
        recorder.open(over.send_id, 2, PERSON)
    assert [e.seq for e in events(database)] == [1, 2]
    assert [path.name for path in folder.iterdir()] == ["0.unreadable"]
    assert "cannot be read" in caplog.text


def test_a_link_leads_only_to_the_issues_own_targets(database, over):
    targets = Targets(database)
    assert targets.resolve(over.send_id, 9) == "https://meridian.example/give"
    assert targets.resolve(over.send_id, 10) is None
    assert targets.resolve(over.send_id + 1, 9) is None
    with database.transaction() as session:
        edition = session.scalar(select(Send.edition_id))
        session.add(EditionLink(edition_id=edition, n=11, url="javascript:alert(1)"))
        session.add(EditionLink(edition_id=edition, n=12, url="//evil.example"))
    fresh = Targets(database)
    assert fresh.resolve(over.send_id, 11) is None
    assert fresh.resolve(over.send_id, 12) is None


def test_known_links_lead_on_while_the_database_is_away(database, over, monkeypatch, caplog):
    from newsletter.events import tracking

    targets = Targets(database)
    assert targets.resolve(over.send_id, 9)
    monkeypatch.setattr(tracking, "TARGETS_SECONDS", -1.0)
    with database.connection() as connection:
        connection.exec_driver_sql("ALTER TABLE edition_links RENAME TO elsewhere")
    assert targets.resolve(over.send_id, 9) == "https://meridian.example/give"
    assert "could not be read" in caplog.text


def test_a_later_issue_counts_for_itself(database, settings, over):
    with database.transaction() as session:
        from newsletter.publications import by_id

        second = sent(session, by_id(session, over.publication_id))
    with Recorder(database, settings) as recorder:
        recorder.open(over.send_id, 1, PERSON)
        recorder.open(second.send_id, 1, PERSON)
    with database.read() as session:
        counts = dict(session.execute(select(Event.send_id, func.count()).group_by(Event.send_id)).all())
    assert counts == {over.send_id: 1, second.send_id: 1}


@pytest.mark.parametrize("kind", ["click", "open"])
def test_a_copy_that_is_looked_at_was_accepted(database, settings, kind):
    with database.transaction() as session:
        over = sent(session, state=DeliveryState.UNCERTAIN)
        session.execute(update(Recipient).where(Recipient.seq == 2).values(tracking=False))
    with Recorder(database, settings) as recorder:
        for seq in (1, 2):
            if kind == "click":
                recorder.click(over.send_id, seq, 1, PERSON)
            else:
                recorder.open(over.send_id, seq, PERSON)
    with database.read() as session:
        found = {row.seq: row for row in session.scalars(select(Delivery).where(Delivery.send_id == over.send_id))}
    assert (found[1].state, found[1].reply) == (DeliveryState.ACCEPTED, f"evidence: {kind}ed")
    assert found[2].state is DeliveryState.UNCERTAIN, "the opens and clicks of this reader are nobody's"
    assert found[3].state is DeliveryState.UNCERTAIN
