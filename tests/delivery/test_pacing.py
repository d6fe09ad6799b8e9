"""Whole runs that keep to paces: limits, relays' rates, replies that slow, providers that refuse us, warm-up."""

import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories.delivery import Inbox, begun, rows, scheduled, status, with_relay
from factories.paces import age, pace
from sqlalchemy import func, select, update

from newsletter import delivery
from newsletter.delivery.models import Delivery, DeliveryState, PaceState, SendState
from newsletter.kit import clock, smtpd

BLOCKED = "550 5.7.26 This mail has been blocked because the sender is unauthenticated."
EAGER = delivery.Options(patience=delivery.Patience(first=0.0, lost=0.0))


def people(count, domain, prefix="reader"):
    return tuple(f"{prefix}{n}@{domain}" for n in range(count))


def served(inbox, domain):
    return sum(count for address, count in inbox.accepted.items() if address.endswith(domain))


def limit(database, name, per_minute):
    with database.transaction() as session:
        delivery.set_pace(session, name, per_minute)


def make_due(database):
    """The back-off of all deferred deliveries is over."""
    with database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.state == DeliveryState.DEFERRED).values(not_before=None))


class Blocking(Inbox):
    """Refuses us at one domain while ``blocked``."""

    def __init__(self, domain="@gmail.com"):
        super().__init__()
        self.domain, self.blocked, self.refusals = domain, True, 0

    def rcpt(self, session, address):
        if self.blocked and address.endswith(self.domain):
            self.refusals += 1
            return BLOCKED
        return super().rcpt(session, address)


class Running:
    """Runs beside the test, until stopped."""

    def __init__(self, database, settings, count=1, **options):
        self.stop = threading.Event()
        self._pool = ThreadPoolExecutor(count)
        self._runs = [
            self._pool.submit(delivery.run, database, settings, stop=self.stop, **options) for _ in range(count)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.results = [one.result(timeout=40) for one in self._runs]
        self._pool.shutdown()

    @property
    def over(self):
        return all(one.done() for one in self._runs)


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.02)


def test_two_runs_share_the_limit_of_a_provider_and_the_others_do_not_wait(database, relayed, inbox):
    limit(database, "gmail", 600)
    send_id = begun(database, relayed, 100, addresses=people(200, "gmail.com"))
    with Running(database, relayed, 2):
        until(lambda: served(inbox, "@example.org") == 100)
        start, before = time.monotonic(), served(inbox, "@gmail.com")
        time.sleep(4)
        seconds, given = time.monotonic() - start, served(inbox, "@gmail.com") - before
    assert before < 60
    assert 4 * seconds < given < 10 * seconds + 25
    found = status(database, send_id)
    assert found.pending > 0
    assert found.unfinished == found.pending


def test_a_run_with_nothing_but_a_slow_provider_goes_on_until_everybody_is_served(database, relayed, inbox):
    limit(database, "gmail", 600)
    send_id = begun(database, relayed, 0, addresses=people(35, "gmail.com"))
    summary = delivery.run(database, relayed)
    assert (summary.accepted, summary.problem) == (35, "")
    assert 2 < summary.seconds < 20
    assert status(database, send_id).summary == "complete"


def test_a_limit_taken_away_in_mid_send_lets_everything_go(database, relayed, inbox):
    limit(database, "gmail", 30)
    send_id = begun(database, relayed, 0, addresses=people(300, "gmail.com"))
    with Running(database, relayed) as running:
        inbox.wait_for(1)
        assert inbox.received.total() < 50
        limit(database, "gmail", None)
        until(lambda: running.over)
    assert status(database, send_id).accepted == 300


def test_a_limit_set_in_mid_send_holds_within_seconds(database, relayed, inbox):
    begun(database, relayed, 0, addresses=people(60, "gmail.com"))
    gate = threading.Event()
    inbox.on_data = lambda _address: gate.wait(20)
    with Running(database, relayed):
        inbox.wait_for(1)
        limit(database, "gmail", 1)
        time.sleep(2.5)  # the next look at the paces
        gate.set()
        time.sleep(1)
        assert inbox.received.total() < 60


def test_two_sends_take_turns_at_a_slow_provider(database, relayed, inbox):
    limit(database, "gmail", 1200)
    first = begun(database, relayed, 0, addresses=people(200, "gmail.com", "ana"))
    second = begun(database, relayed, 0, addresses=people(200, "gmail.com", "ben"))
    with Running(database, relayed):
        until(lambda: inbox.received.total() > 80)
    assert min(status(database, one).accepted for one in (first, second)) > 10


def test_all_workers_together_keep_a_relays_rate_and_open_few_connections(database, settings, inbox, server):
    slow = with_relay(settings, server, options="connections=10&rate=300")
    send_id = begun(database, slow, 200)
    with Running(database, slow, 2):
        inbox.wait_for(1)
        start, before = time.monotonic(), inbox.received.total()
        time.sleep(4)
        seconds, given = time.monotonic() - start, inbox.received.total() - before
    assert 2 * seconds < given < 5 * seconds + 15
    assert inbox.sessions <= 12
    found = status(database, send_id)
    assert found.accepted + found.pending == 200


def test_no_intent_is_open_while_a_relays_turn_is_waited_for(database, settings, inbox, server):
    slow = with_relay(settings, server, options="connections=10&rate=20")
    send_id = begun(database, slow, 50)
    with Running(database, slow):
        inbox.wait_for(2)
        until(lambda: status(database, send_id).accepted == 2)
        time.sleep(0.5)  # the next turn comes after three seconds
        assert (status(database, send_id).sending, inbox.received.total()) == (0, 2)
    assert status(database, send_id).pending == 48


def test_weights_spread_the_connections(database, settings):
    one, two = Inbox(), Inbox()
    with smtpd.Server(one) as first, smtpd.Server(two) as second:
        urls = (
            f"smtp://127.0.0.1:{first.port}?connections=8&weight=1",
            f"smtp://127.0.0.1:{second.port}?connections=8&weight=4",
        )
        scheduled(database, 500)
        delivery.run(database, settings.model_copy(update={"smtp_url": urls}))
    assert one.accepted.total() + two.accepted.total() == 500
    assert (one.sessions, two.sessions) == (2, 8)


def test_a_421_slows_its_provider_alone_and_it_recovers(database, relayed, inbox):
    inbox.at_rcpt["reader3@gmail.com"] = ["421 4.7.28 Unusual rate, slow down"]
    send_id = begun(database, relayed, 30, addresses=people(60, "gmail.com"))
    with Running(database, relayed, options=EAGER):
        until(lambda: pace(database, "gmail").state is PaceState.SLOWED)
    held = pace(database, "gmail")
    assert "421 4.7.28 Unusual rate" in held.reason
    assert held.limit(clock.now()) < held.ceiling
    assert pace(database, "other").state is PaceState.FLOWING
    age(database, "gmail", minutes=20)
    assert pace(database, "gmail").free(clock.now())
    make_due(database)
    delivery.run(database, relayed)
    assert inbox.accepted.total() == 90
    assert status(database, send_id).summary == "complete"


@pytest.mark.parametrize("reply", ["451 4.7.1 Too fast for me", BLOCKED])
def test_one_server_does_not_hold_all_the_small_ones_and_several_do(database, relayed, inbox, reply):
    for n in range(20):
        inbox.at_rcpt[f"reader{n}@example.org"] = [reply]
    begun(database, relayed, 30)
    delivery.run(database, relayed)
    assert pace(database, "other").state is PaceState.FLOWING

    several = [f"ana@{n}.example.net" for n in range(20)]
    inbox.at_rcpt |= {address: [reply] for address in several}
    begun(database, relayed, 0, addresses=tuple(several))
    with Running(database, relayed):
        until(lambda: pace(database, "other").state is not PaceState.FLOWING)


def test_a_421_at_mail_slows_the_relay(database, settings):
    inbox = Inbox(offers=("PIPELINING",))
    inbox.at_mail = ["250 ok"] * 10 + [smtpd.Answer("421 4.3.2 Closing", drop=True)]
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server)
        begun(database, relayed, 60)
        with Running(database, relayed):
            name = f"relay:127.0.0.1:{server.port}"
            until(lambda: any(row.name == name for row in _every(database)))
        assert pace(database, name).state is PaceState.SLOWED
        assert pace(database, "other").state is PaceState.FLOWING


def _every(database):
    with database.read() as session:
        return delivery.every_pace(session)


def test_a_provider_that_refuses_us_is_paused_and_the_others_go_on_and_in_the_end_everybody_is_served(
    database, settings
):
    inbox = Blocking()
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server)
        send_id = begun(database, relayed, 150, addresses=people(150, "gmail.com"))
        assert delivery.run(database, relayed).accepted == 150
        assert served(inbox, "@example.org") == 150
        assert 10 <= inbox.refusals < 60
        assert pace(database, "gmail").state is PaceState.PAUSED

        found = status(database, send_id)
        assert (found.state, found.refused, found.claimed, found.sending) == (SendState.SENDING, 0, 0, 0)
        assert found.pending + found.deferred == 150
        assert found.problem.startswith("Gmail refuses us")
        assert "5.7.26" in found.problem
        assert found.finishes_at is None

        refusals = inbox.refusals
        make_due(database)
        began = time.monotonic()
        delivery.run(database, relayed)  # nothing to do: it does not wait, and does not ask again
        assert time.monotonic() - began < 5
        assert inbox.refusals == refusals

        age(database, "gmail", minutes=2)
        delivery.run(database, relayed)  # a probe, in vain
        assert inbox.refusals == refusals + 5
        assert pace(database, "gmail").state is PaceState.PAUSED

        inbox.blocked = False
        age(database, "gmail", minutes=5)
        make_due(database)
        with Running(database, relayed):
            until(lambda: pace(database, "gmail").state is PaceState.SLOWED)
        age(database, "gmail", minutes=60)
        delivery.run(database, relayed)
    found = status(database, send_id)
    assert (found.accepted, found.summary, found.problem) == (300, "complete", "")
    assert inbox.accepted.most_common(1)[0][1] == 1


def test_a_provider_paused_by_one_send_is_paused_for_the_next(database, settings):
    inbox = Blocking()
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server)
        begun(database, relayed, 0, addresses=people(100, "gmail.com"))
        delivery.run(database, relayed)
        refusals = inbox.refusals
        second = begun(database, relayed, 0, addresses=(*people(20, "gmail.com", "new"), "someone@yahoo.com"))
        delivery.run(database, relayed)
        assert inbox.refusals == refusals
    assert status(database, second).pending == 20
    assert served(inbox, "@yahoo.com") == 1


def test_a_person_who_has_mended_it_need_not_wait_for_a_probe(database, settings):
    inbox = Blocking()
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server)
        send_id = begun(database, relayed, 0, addresses=people(80, "gmail.com"))
        delivery.run(database, relayed)
        inbox.blocked = False
        with database.transaction() as session:
            delivery.resume_pace(session, "gmail")
        delivery.run(database, relayed)
    assert status(database, send_id).summary == "complete"
    assert inbox.accepted.total() == 80


def test_a_few_refusals_of_us_are_deferred_and_pause_nobody(database, relayed, inbox):
    for n in range(5):
        inbox.at_rcpt[f"reader{n}@gmail.com"] = [BLOCKED]
    send_id = begun(database, relayed, 0, addresses=people(60, "gmail.com"))
    delivery.run(database, relayed)
    assert pace(database, "gmail").state is PaceState.FLOWING
    found = rows(database, send_id)["reader0@gmail.com"]
    assert (found.state, found.code, found.command) == (DeliveryState.DEFERRED, 550, "RCPT")
    make_due(database)
    delivery.run(database, relayed)
    assert status(database, send_id).summary == "complete"


def test_the_warm_up_stops_at_the_days_figure_and_goes_on_the_next_day(database, relayed, inbox):
    today = clock.now().date()
    warming = relayed.model_copy(update={"warm_up_since": today})
    send_id = begun(database, warming, 0, addresses=(*people(320, "gmail.com"), *people(30, "yahoo.com")))
    delivery.run(database, warming)
    assert (served(inbox, "@gmail.com"), served(inbox, "@yahoo.com")) == (200, 30)
    found = status(database, send_id)
    assert (found.state, found.pending) == (SendState.SENDING, 120)
    assert "Gmail: the day's figure of the warm-up is reached" in found.problem
    tomorrow = dt.datetime.combine(today + dt.timedelta(days=1), dt.time(), dt.UTC)
    assert tomorrow <= found.finishes_at < tomorrow + dt.timedelta(hours=1)

    assert delivery.run(database, warming).accepted == 0
    age(database, "gmail", days=1)
    later = warming.model_copy(update={"warm_up_since": today - dt.timedelta(days=1)})
    assert delivery.run(database, later).accepted == 120
    assert status(database, send_id).summary == "complete"
    assert pace(database, "gmail").spent == 120


def test_without_any_limit_no_pace_is_written(database, relayed):
    scheduled(database, 300)
    delivery.run(database, relayed)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(delivery.models.Pace)) == 0
