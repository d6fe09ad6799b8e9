import datetime as dt
import time

import pytest
from factories.delivery import begun, scheduled

from newsletter import editions
from newsletter.audience import Links
from newsletter.delivery.frames import MOST_RESTS, Cursor, Frame, Job, letterhead, personalizer, running
from newsletter.delivery.models import Send, SendState
from newsletter.delivery.personalize import Letterhead, Personalizer, Reader
from newsletter.delivery.statements import LEASE_SECONDS, Claimed, Ticket
from newsletter.delivery.tracking import Marks
from newsletter.kit import clock

HEAD = Letterhead(3, 4, "weekly", "desk@meridian.example", "meridian.example", clock.now())
ANA = Reader(1, 7, "ana@example.org", "Ana")


@pytest.fixture
def quiet(settings):
    """Settings with a relay that nobody connects to."""
    return settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})


def frame(settings=None, window=1000.0):
    return Frame(HEAD, window, settings)


def rows(*seqs):
    return [Claimed(seq, 1, 0, 0) for seq in seqs]


# -- the cursor ------------------------------------------------------------------


def test_a_cursor_begins_open_at_the_first_row():
    assert Cursor(None) == Cursor(None, after=0, found=0, done=False, empty=0, rests=0)


def test_a_full_claim_moves_the_cursor_to_its_last_row():
    cursor = Cursor(None)
    cursor.passed(rows(4, 7), 2)
    assert (cursor.after, cursor.found, cursor.done, cursor.empty) == (7, 2, False, 0)
    cursor.passed(rows(8, 9), 2)
    assert (cursor.after, cursor.found) == (9, 4)


@pytest.mark.parametrize("last", [rows(9), []])
def test_the_end_of_a_pass_that_found_something_begins_another(last):
    cursor = Cursor(None)
    cursor.passed(rows(4, 7), 2)
    cursor.passed(last, 2)
    assert (cursor.after, cursor.found, cursor.done, cursor.empty) == (0, 0, False, 0)


def test_a_pass_that_claimed_fewer_than_it_might_found_something_too():
    cursor = Cursor(None)
    cursor.passed(rows(4), 2)
    assert not cursor.done


def test_a_whole_pass_that_found_nothing_closes_the_cursor_for_longer_each_time():
    cursor, closed = Cursor(None), []
    for _ in range(6):
        cursor.passed([], 10)
        assert cursor.done
        closed.append(0)
        while cursor.done:
            cursor.look()
            closed[-1] += 1
    assert closed == [1, 2, 4, 8, MOST_RESTS, MOST_RESTS]
    assert MOST_RESTS == 12
    cursor.passed(rows(3), 10)
    cursor.passed([], 10)
    assert (cursor.done, cursor.empty, cursor.rests) == (True, 1, 1)


def test_a_cursor_that_is_to_pass_again_makes_a_whole_pass():
    cursor = Cursor(None)
    for _ in range(4):
        cursor.passed([], 10)
    cursor.again()
    assert not cursor.done
    cursor.look()
    assert not cursor.done
    cursor.passed([], 10)
    assert not cursor.done
    cursor.passed([], 10)
    assert cursor.done


def test_what_is_found_adds_up_after_it_was_opened_again():
    cursor = Cursor(None)
    cursor.again()
    cursor.passed(rows(1), 1)
    cursor.passed([], 1)
    assert not cursor.done


# -- the frame -------------------------------------------------------------------


def test_a_frame_begins_with_one_cursor_for_all_lanes_and_nothing_counted():
    fresh = frame()
    assert fresh.send_id == 3
    assert fresh.cursors == {None: Cursor(None)}
    assert (fresh.in_a_row, fresh.refused, fresh.personalizers) == (0, 0, {})


def test_a_lane_that_is_held_from_now_on_goes_on_where_it_went_with_the_others():
    one = frame()
    one.cursor(None).passed(rows(5, 8), 2)
    lane = one.cursor(4)
    assert (lane.lane, lane.after, lane.done) == (4, 8, False)
    assert one.cursor(4) is lane
    assert one.cursor(None) is one.cursors[None]
    lane.passed(rows(9), 1)
    lane.passed([], 1)  # the rows before 8 may hold some of the lane
    assert not lane.done
    lane.passed([], 1)
    assert lane.done


def test_a_lane_that_is_released_goes_with_the_others_again_from_the_beginning():
    one = frame()
    one.cursor(4)
    one.cursor(None).passed([], 10)
    one.release(2)
    assert one.cursor(None).done
    one.release(4)
    assert list(one.cursors) == [None]
    one.cursor(None).passed([], 10)
    assert not one.cursor(None).done


def test_patience_runs_out_with_time():
    one = frame(window=100.0)
    one.loaded_at = time.monotonic() - 30
    assert 69 < one.patience_left() <= 70
    one.loaded_at = time.monotonic() - 130
    assert one.patience_left() < 0
    assert 99 < frame(window=100.0).patience_left() <= 100


def test_a_job_is_certainly_ours_for_two_thirds_of_its_lease():
    job = Job(frame(), Ticket(3, 1, 1), 1, 1, 0, ANA)
    assert job.fresh()
    assert max(time.monotonic() - job.since, time.monotonic() - job.checked) < 5
    job.since = time.monotonic() - LEASE_SECONDS * 2 / 3 + 2
    assert job.fresh()
    job.since = time.monotonic() - LEASE_SECONDS * 2 / 3
    assert not job.fresh()


# -- from the database -----------------------------------------------------------


def test_a_send_that_is_being_sent_is_loaded_once(database, quiet):
    first, second, third = (begun(database, quiet, 1, prefix=f"p{n}-") for n in range(3))
    scheduled(database, 1, prefix="later")
    with database.transaction() as session:
        session.get(Send, third).state = SendState.PAUSED
    with database.read() as session:
        found = [[one.send_id for one in running(session, quiet, known)] for known in (set(), {first}, {first, second})]
        named = [[one.send_id for one in running(session, quiet, set(), one)] for one in (second, third)]
    assert found == [[first, second], [second], []]
    assert named == [[second], []]


def test_what_is_left_of_the_retry_window_counts_from_the_start(database, quiet):
    send_id = begun(database, quiet, 1)
    with database.transaction() as session:
        send = session.get(Send, send_id)
        send.started_at, send.retry_window_seconds = clock.now() - dt.timedelta(seconds=100), 1000
    with database.read() as session:
        (one,) = running(session, quiet, set())
    assert 890 < one.patience_left() <= 900
    assert one.settings is quiet
    assert one.send_id == send_id


@pytest.mark.parametrize(("configured", "domain"), [("", "meridian.example"), ("bounces.example", "bounces.example")])
def test_the_letterhead_is_what_all_messages_of_a_send_share(database, quiet, configured, domain):
    send_id, waiting = begun(database, quiet, 1), scheduled(database, 1, prefix="later")
    configured = quiet.model_copy(update={"bounce_domain": configured})
    with database.transaction() as session:
        send = session.get(Send, send_id)
        send.created_at -= dt.timedelta(hours=1)
        head = letterhead(session, configured, send)
        unbegun = session.get(Send, waiting)
        assert letterhead(session, configured, unbegun).started_at == unbegun.created_at
    assert (head.send_id, head.publication_id, head.started_at) == (send_id, send.publication_id, send.started_at)
    assert (head.slug.startswith("weekly-"), head.sender, head.bounce_domain) == (True, "desk@meridian.example", domain)


def test_an_edition_is_loaded_once_and_filled_with_the_links_and_marks_of_the_installation(database, quiet):
    send_id = begun(database, quiet, 1)
    with database.read() as session:
        (one,) = running(session, quiet, set(), send_id)
        edition_id = session.get(Send, send_id).edition_id
        one.prepare(session, edition_id)
        compiled = editions.load(session, edition_id).compiled
    links, marks = Links(quiet.base_url, quiet.secret), Marks(quiet.secret)
    expected = Personalizer(compiled, one.letterhead, links, marks, None).mail(ANA)
    assert one.personalizers[edition_id].mail(ANA) == expected
    assert personalizer(quiet, one.letterhead, compiled).mail(ANA) == expected
    ready = one.personalizers[edition_id]
    with database.read() as session:
        one.prepare(session, edition_id)
    assert one.personalizers == {edition_id: ready}
