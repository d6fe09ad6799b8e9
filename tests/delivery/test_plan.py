import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories.audience import SECRET, many, subscriber
from factories.delivery import begun, rows, scheduled, status
from factories.issues import issue
from factories.publications import publication
from sqlalchemy import func, select, update

from newsletter import audience, delivery, issues
from newsletter.delivery.models import Delivery, MailboxDomain, Recipient, Send, SendState
from newsletter.delivery.pace.providers import Provider
from newsletter.delivery.remember import Known, Memory
from newsletter.editions.models import Edition
from newsletter.errors import ConfigError, Refused
from newsletter.issues import IssueState
from newsletter.kit import clock, wake

RELAY = ("smtp://127.0.0.1:2525",)


@pytest.fixture
def relayed(settings):
    return settings.model_copy(update={"smtp_url": RELAY})


@pytest.fixture
def hints():
    """The hints that are sent to the workers."""
    sent = []
    wake.register(lambda topic, ident: sent.append((topic, ident)))
    yield sent
    wake.register(None)


def approved(database, *, readers=3):
    with database.transaction() as session:
        made = publication(session)
        view = issue(session, made, approved=True)
    if readers:
        many(database, readers, made.id)
    return view.id


def start(database, issue_id, **more):
    with database.transaction() as session:
        return delivery.start(session, issue_id, by="editor@example.org", **more)


def issue_state(database, send_id):
    with database.read() as session:
        return issues.get(session, delivery.status(session, send_id).issue).state


def test_a_start_schedules_the_issue_and_wakes_the_workers(database, hints):
    found = start(database, approved(database))
    assert found.state is SendState.SCHEDULED
    assert found.asked_by == "editor@example.org"
    assert issue_state(database, found.send) is IssueState.SCHEDULED
    assert hints == [("deliver", found.send)]


def test_a_second_start_finds_the_first_send(database, relayed):
    issue_id = approved(database)
    first = start(database, issue_id)
    assert start(database, issue_id, at=clock.now() + dt.timedelta(days=1)).send == first.send
    delivery.begin_due(database, relayed)
    assert start(database, issue_id).send == first.send
    assert status(database, first.send).audience == 3


def test_fifty_starts_at_once_make_one_send(database):
    issue_id = approved(database)
    gate = threading.Barrier(50)

    def click(_):
        gate.wait()
        return start(database, issue_id).send

    with ThreadPoolExecutor(50) as clicks:
        assert len(set(clicks.map(click, range(50)))) == 1
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Send)) == 1


def test_many_beats_begin_a_send_once(database, relayed):
    send_id = scheduled(database, 200)
    gate = threading.Barrier(6)

    def beat(_):
        gate.wait()
        return delivery.begin_due(database, relayed)

    with ThreadPoolExecutor(6) as beats:
        assert sorted(beats.map(beat, range(6))) == [[], [], [], [], [], [send_id]]
    assert status(database, send_id).audience == 200
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Edition)) == 1


def test_the_audience_is_frozen_with_everyone_eligible_and_nobody_else(database, relayed):
    with database.transaction() as session:
        made = publication(session)
        view = issue(session, made, approved=True)
        subscriber(session, SECRET, "ana@example.org", made.id, first_name="Ana", attributes={"city": "Porto"})
        subscriber(session, SECRET, "Ben@example.org", made.id, tracking=False)
        subscriber(session, SECRET, "left@example.org", made.id, audience.SubscriptionStatus.UNSUBSCRIBED)
        subscriber(session, SECRET, "pending@example.org", made.id, audience.SubscriptionStatus.PENDING)
        subscriber(session, SECRET, "blocked@example.org", made.id)
        audience.suppress(session, SECRET, address="blocked@example.org", reason="manual", evidence="asked by phone")
    send_id = start(database, view.id).send
    assert delivery.begin_due(database, relayed) == [send_id]
    with database.read() as session:
        found = session.scalars(select(Recipient).order_by(Recipient.seq)).all()
    assert [(one.seq, one.address) for one in found] == [(1, "ana@example.org"), (2, "Ben@example.org")]
    assert (found[0].first_name, found[0].attributes, found[0].tracking) == ("Ana", {"city": "Porto"}, True)
    assert found[1].tracking is False
    assert status(database, send_id).pending == 2
    assert issue_state(database, send_id) is IssueState.SENDING


def test_who_joins_after_the_freeze_waits_for_the_next_issue(database, relayed):
    send_id = begun(database, relayed, 3)
    with database.transaction() as session:
        subscriber(session, SECRET, "late@example.org", delivery.status(session, send_id).publication)
    assert delivery.begin_due(database, relayed) == []
    assert "late@example.org" not in rows(database, send_id)


def test_a_send_for_later_begins_at_its_hour(database, relayed):
    found = start(database, approved(database), at=clock.now() + dt.timedelta(hours=1))
    assert delivery.begin_due(database, relayed) == []
    _move_hour(database, found.send, dt.timedelta(seconds=-1))
    assert delivery.begin_due(database, relayed) == [found.send]


def test_a_send_past_its_grace_is_missed_and_asks_a_person(database, relayed):
    found = start(database, approved(database))
    _move_hour(database, found.send, dt.timedelta(hours=-3))
    assert delivery.begin_due(database, relayed) == []
    assert status(database, found.send).state is SendState.MISSED
    assert issue_state(database, found.send) is IssueState.MISSED
    assert start(database, found.issue).send == found.send
    assert delivery.begin_due(database, relayed) == [found.send]


def _move_hour(database, send_id, by):
    with database.transaction() as session:
        session.execute(update(Send).where(Send.id == send_id).values(send_at=clock.now() + by))


def test_an_issue_that_nobody_approved_is_refused(database):
    with database.transaction() as session:
        view = issue(session, publication(session))
    with pytest.raises(Refused, match="is draft; approve it"):
        start(database, view.id)


def test_without_a_relay_the_start_says_what_to_set(database, settings):
    issue_id = approved(database)
    with pytest.raises(ConfigError, match="NEWSLETTER_SMTP_URL"):
        start(database, issue_id, settings=settings)


def test_what_preflight_blocks_is_refused_at_once(database, relayed):
    issue_id = approved(database)
    with database.transaction() as session:
        view = issues.get(session, issue_id)
        issues.edit(session, issue_id, version=view.version, subject="{{ first_name }}")
        issues.approve(session, issue_id, by="editor@example.org")
    with pytest.raises(Refused, match="cannot be sent"):
        start(database, issue_id, settings=relayed)


@pytest.mark.parametrize(
    ("readers", "urls", "words"), [(0, RELAY, "the audience is empty"), (3, (), "NEWSLETTER_SMTP_URL: no mail relay")]
)
def test_what_keeps_a_send_from_beginning_is_told_and_leaves_nothing_behind(database, settings, readers, urls, words):
    found = start(database, approved(database, readers=readers))
    assert delivery.begin_due(database, settings.model_copy(update={"smtp_url": urls})) == []
    waiting = status(database, found.send)
    assert waiting.state is SendState.SCHEDULED
    assert words in waiting.problem
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Recipient)) == 0


def test_an_issue_that_changed_after_its_approval_is_not_sent(database, relayed):
    issue_id = approved(database)
    found = start(database, issue_id)
    with database.transaction() as session:
        view = issues.get(session, issue_id)
        issues.edit(session, issue_id, version=view.version, subject="Something else")
    assert delivery.begin_due(database, relayed) == []
    assert "approve it" in status(database, found.send).problem
    with database.transaction() as session:
        issues.approve(session, issue_id, by="editor@example.org")
    assert delivery.begin_due(database, relayed) == [found.send]
    assert status(database, found.send).problem == ""


def test_a_send_that_was_called_off_before_it_began_can_be_started_again(database, relayed):
    found = start(database, approved(database))
    with database.transaction() as session:
        assert delivery.cancel(session, found.send).state is SendState.CANCELLED
    assert issue_state(database, found.send) is IssueState.APPROVED
    assert delivery.begin_due(database, relayed) == []
    assert start(database, found.issue).state is SendState.SCHEDULED
    assert delivery.begin_due(database, relayed) == [found.send]


def another(database, slug):
    """An approved issue of another publication with readers of its own."""
    with database.transaction() as session:
        made = publication(session, slug=slug)
        view = issue(session, made, approved=True)
    many(database, 2, made.id, prefix=slug)
    return view.id


def to_a_part(database, issue_id, state):
    """A send of an issue to another audience than everybody."""
    with database.transaction() as session:
        found = issues.get(session, issue_id)
        send = Send(
            issue_id=issue_id, publication_id=found.publication_id, audience_key="donors", state=state,
            send_at=clock.now() - dt.timedelta(minutes=1), created_at=clock.now(),
        )  # fmt: skip
        session.add(send)
        session.flush()
        return send.id


def test_each_issue_has_a_send_of_its_own(database, relayed):
    first, second = approved(database), another(database, "daily")
    sends = [start(database, one).send for one in (first, second)]
    assert len(set(sends)) == 2
    assert delivery.begin_due(database, relayed) == sends
    assert [start(database, one).send for one in (second, first)] == sends[::-1]
    assert [status(database, one).audience for one in sends] == [3, 2]


def test_a_send_to_a_part_is_another_send(database):
    issue_id = approved(database)
    part = to_a_part(database, issue_id, SendState.MISSED)
    found = start(database, issue_id)
    assert found.send != part
    with database.transaction() as session:
        delivery.cancel(session, found.send)
    assert start(database, issue_id).send == found.send
    assert status(database, part).state is SendState.MISSED


def test_an_issue_that_is_scheduled_already_may_be_started(database):
    issue_id = approved(database)
    with database.transaction() as session:
        issues.transition(session, issue_id, IssueState.SCHEDULED)
    found = start(database, issue_id)
    assert issue_state(database, found.send) is IssueState.SCHEDULED


def test_a_start_while_another_is_not_committed_yet_finds_its_send(database):
    other, issue_id = start(database, another(database, "daily")), approved(database)
    to_a_part(database, issue_id, SendState.SCHEDULED)
    with ThreadPoolExecutor(1) as beside:
        with database.transaction() as session:
            first = delivery.start(session, issue_id, by="editor@example.org")
            second = beside.submit(start, database, issue_id)
            with pytest.raises(TimeoutError):
                second.result(timeout=0.2)
        assert second.result(timeout=30).send == first.send != other.send


def test_a_send_that_is_started_again_has_not_ended(database):
    found, beside = start(database, approved(database)), start(database, another(database, "daily"))
    with database.transaction() as session:
        for one in (found, beside):
            assert delivery.cancel(session, one.send).finished_at is not None
    again = start(database, found.issue, at=clock.now() + dt.timedelta(days=1))
    assert (again.send, again.state, again.finished_at) == (found.send, SendState.SCHEDULED, None)
    assert again.send_at > clock.now() + dt.timedelta(hours=23)
    assert status(database, beside.send).state is SendState.CANCELLED


def test_one_that_was_called_off_in_mid_send_is_not_started_again(database, relayed):
    send_id = begun(database, relayed, 2)
    with database.transaction() as session:
        called_off = delivery.cancel(session, send_id)
    assert start(database, called_off.issue).state is SendState.CANCELLED


def test_a_beat_begins_what_is_due_gives_up_what_is_late_and_leaves_the_rest(database, relayed, hints):
    due, late, later = (start(database, another(database, slug)) for slug in ("due", "late", "later"))
    _move_hour(database, late.send, dt.timedelta(seconds=-7201))
    _move_hour(database, later.send, dt.timedelta(hours=1))
    hints.clear()
    assert delivery.begin_due(database, relayed) == [due.send]
    found = [status(database, one.send).state for one in (due, late, later)]
    assert found == [SendState.SENDING, SendState.MISSED, SendState.SCHEDULED]
    states = [issue_state(database, one.send) for one in (due, late, later)]
    assert states == [IssueState.SENDING, IssueState.MISSED, IssueState.SCHEDULED]
    assert hints == [("deliver", due.send)]


def test_a_send_within_its_grace_begins(database, relayed):
    found = start(database, approved(database))
    _move_hour(database, found.send, dt.timedelta(seconds=-7150))
    assert delivery.begin_due(database, relayed) == [found.send]


def test_a_missed_send_leaves_an_issue_that_somebody_changed_meanwhile(database, relayed):
    issue_id = approved(database)
    found = start(database, issue_id)
    with database.transaction() as session:
        issues.edit(session, issue_id, version=issues.get(session, issue_id).version, subject="Something else")
    _move_hour(database, found.send, dt.timedelta(hours=-3))
    delivery.begin_due(database, relayed)
    assert status(database, found.send).state is SendState.MISSED
    assert issue_state(database, found.send) is IssueState.DRAFT


def test_what_keeps_one_send_from_beginning_is_not_told_of_another(database, relayed):
    empty, later = start(database, approved(database, readers=0)), start(database, another(database, "later"))
    _move_hour(database, later.send, dt.timedelta(hours=1))
    assert delivery.begin_due(database, relayed) == []
    assert [status(database, one.send).problem for one in (empty, later)] == [
        "Nobody is subscribed: the audience is empty.",
        "",
    ]


def test_a_database_that_went_back_in_time_begins_nothing(database, relayed):
    found = start(database, approved(database))
    Memory(relayed.data_dir).keep(Known(99, "a mark that this database has not", 5, ""))
    assert delivery.begin_due(database, relayed) == []
    assert status(database, found.send).state is SendState.MISSED


def test_the_freeze_notes_what_it_froze_and_when(database, relayed):
    beside = begun(database, relayed, 2, prefix="beside")
    send_id = begun(database, relayed, 3)
    with database.read() as session:
        send = session.get(Send, send_id)
        rows = session.scalars(select(Delivery).where(Delivery.send_id == send_id).order_by(Delivery.seq)).all()
        people = session.scalars(select(Recipient).where(Recipient.send_id == send_id).order_by(Recipient.seq)).all()
        assert session.get(Edition, send.edition_id).issue_id == send.issue_id
    assert (send.audience, abs((clock.now() - send.started_at).total_seconds()) < 5) == (3, True)
    assert [(row.seq, str(row.state), row.epoch, row.attempt) for row in rows] == [
        (seq, "pending", 0, 0) for seq in (1, 2, 3)
    ]
    assert {one.edition_id for one in people} == {send.edition_id}
    assert [(one.first_name, one.last_name) for one in people] == [(f"Reader {n}", "") for n in (1, 2, 3)]
    assert status(database, beside).audience == 2


def test_readers_are_numbered_in_the_order_of_their_ids(database, relayed):
    with database.transaction() as session:
        made, other = publication(session), publication(session, slug="other")
        view = issue(session, made, approved=True)
        names = ("ana", "ben", "carol")
        ids = [subscriber(session, SECRET, f"{name}@example.org", other.id).id for name in names]
        for name in reversed(names):
            subscriber(session, SECRET, f"{name}@example.org", made.id)
    start(database, view.id)
    delivery.begin_due(database, relayed)
    with database.read() as session:
        assert session.scalars(select(Recipient.subscriber_id).order_by(Recipient.seq)).all() == ids


def test_every_delivery_has_the_lane_of_its_mailbox_provider(database, relayed):
    with database.transaction() as session:
        for domain, provider in (("firm.example", Provider.MICROSOFT), ("other.example", Provider.APPLE)):
            session.add(MailboxDomain(domain=domain, lane=provider, look_up_at=clock.now()))
    addresses = ("ana@gmail.com", "ben@firm.example", "carol@nowhere.example", "dave@other.example")
    send_id = begun(database, relayed, 0, addresses=addresses)
    with database.read() as session:
        lanes = session.scalars(select(Delivery.lane).where(Delivery.send_id == send_id).order_by(Delivery.seq)).all()
    assert lanes == [Provider.GMAIL, Provider.MICROSOFT, Provider.OTHER, Provider.APPLE]
