import datetime as dt

import pytest
import time_machine
from factories.audience import subscriber
from sqlalchemy import func, select

from newsletter import audience
from newsletter.audience import Limits, Outcome, Reader, SubscriptionStatus, SuppressionReason
from newsletter.audience.models import ConfirmationRequest, Consent, StatusChange, Subscriber, Subscription
from newsletter.errors import BadToken, Invalid, Refused
from newsletter.kit import clock

START = dt.datetime(2026, 11, 20, 9, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def moment():
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ask(session, secret, weekly):
    def call(email="ana@example.org", publication_id=weekly, network="", **more):
        return audience.ask(
            session,
            secret,
            email=email,
            publication_id=publication_id,
            source="form:front-page",
            wording="2026-11",
            network=network,
            **more,
        )

    return call


@pytest.fixture
def token(links):
    return lambda asked: links.confirm_url(asked.subscription_id, asked.expires_at).rpartition("/")[2]


def _status(session, asked):
    return session.get(Subscription, asked.subscription_id).status


def _eligible(session, publication_id):
    return [row.address for row in session.execute(audience.eligible(publication_id))]


def test_a_form_makes_a_pending_subscription_that_nobody_mails(ask, session, weekly):
    asked = ask("Ana.Lind@Example.org")
    assert asked.outcome is Outcome.CONFIRM
    assert asked.address == "Ana.Lind@example.org"
    assert _status(session, asked) is SubscriptionStatus.PENDING
    assert _eligible(session, weekly) == []


def test_confirming_activates_and_leaves_the_proof(ask, token, session, secret, weekly):
    asked = ask(network="198.51.100.7")
    confirmed = audience.confirm(session, secret, token(asked), network="203.0.113.9")
    assert confirmed.changed
    assert (confirmed.publication_id, confirmed.subscriber_id) == (weekly, asked.subscriber_id)
    assert _eligible(session, weekly) == ["ana@example.org"]
    proofs = session.scalars(select(Consent).order_by(Consent.id)).all()
    assert [(row.kind.value, row.source, row.wording) for row in proofs] == [
        ("asked", "form:front-page", "2026-11"),
        ("confirmed", "confirmation link", "2026-11"),
    ]
    assert len({row.network_hash for row in proofs} - {""}) == 2
    assert not any("198.51" in row.network_hash for row in proofs)
    changes = session.scalars(select(StatusChange).order_by(StatusChange.id)).all()
    assert [(row.before, row.after) for row in changes] == [
        (None, SubscriptionStatus.PENDING),
        (SubscriptionStatus.PENDING, SubscriptionStatus.ACTIVE),
    ]


def test_confirming_twice_is_the_same_as_once(ask, token, session, secret):
    asked = ask()
    first = audience.confirm(session, secret, token(asked))
    second = audience.confirm(session, secret, token(asked))
    assert (first.changed, second.changed) == (True, False)
    assert first.subscription_id == second.subscription_id
    assert session.scalar(select(func.count()).select_from(StatusChange)) == 2


def test_the_page_before_the_button_changes_nothing(ask, token, session, secret, weekly):
    asked = ask()
    page = audience.awaiting(session, secret, token(asked))
    assert page == audience.Awaiting(weekly, "a…@example.org", active=False, expired=False)
    assert _status(session, asked) is SubscriptionStatus.PENDING


def test_a_link_works_for_seven_days(ask, token, session, secret, moment):
    asked = ask()
    moment.move_to(START + 7 * DAY - dt.timedelta(seconds=1))
    assert not audience.awaiting(session, secret, token(asked)).expired
    moment.move_to(START + 7 * DAY + dt.timedelta(seconds=1))
    assert audience.awaiting(session, secret, token(asked)).expired
    with pytest.raises(Refused, match="expired"):
        audience.confirm(session, secret, token(asked))
    assert _status(session, asked) is SubscriptionStatus.PENDING


def test_an_expired_link_of_an_active_reader_still_says_so(ask, token, session, secret, moment):
    asked = ask()
    audience.confirm(session, secret, token(asked))
    moment.move_to(START + 30 * DAY)
    assert not audience.confirm(session, secret, token(asked)).changed


def test_an_old_link_does_not_bring_back_who_left_since(ask, token, session, secret, weekly, moment):
    asked = ask()
    audience.confirm(session, secret, token(asked))
    moment.shift(60)
    audience.leave(session, Reader(weekly, asked.subscriber_id), via="page")
    with pytest.raises(Refused, match="sign up again"):
        audience.confirm(session, secret, token(asked))
    again = ask()
    assert again.outcome is Outcome.CONFIRM
    assert audience.confirm(session, secret, token(again)).changed
    assert _eligible(session, weekly) == ["ana@example.org"]


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-1], lambda t: t + "A", lambda t: t[::-1], lambda _: "", lambda _: "x"]
)
def test_a_damaged_token_confirms_nobody(ask, token, session, secret, damage):
    asked = ask()
    for act in (audience.confirm, audience.awaiting):
        with pytest.raises(BadToken):
            act(session, secret, damage(token(asked)))
    assert _status(session, asked) is SubscriptionStatus.PENDING


def test_an_erased_readers_link_opens_nothing(ask, token, session, secret):
    asked = ask()
    audience.erase(session, secret, "ana@example.org")
    for act in (audience.confirm, audience.awaiting):
        with pytest.raises(BadToken):
            act(session, secret, token(asked))


def test_new_known_and_suppressed_addresses_get_the_same_kind_of_answer(ask, session, secret, weekly):
    subscriber(session, secret, "known@example.org", weekly)
    audience.suppress(session, secret, address="stopped@example.org", reason=SuppressionReason.COMPLAINED)
    answers = [ask(f"{name}@example.org") for name in ("new", "known", "stopped", "new")]
    assert [answer.outcome for answer in answers] == [
        Outcome.CONFIRM,
        Outcome.ALREADY,
        Outcome.SUPPRESSED,
        Outcome.LIMITED,
    ]
    assert {type(answer) for answer in answers} == {audience.Asked}
    assert session.scalar(select(func.count()).select_from(Subscriber)) == 2  # nothing is kept of the suppressed one


def test_what_is_no_address_is_told_at_once(ask, session):
    with pytest.raises(Invalid) as caught:
        ask("ana@example")
    assert caught.value.field == "email"
    assert session.scalar(select(func.count()).select_from(Subscriber)) == 0


def test_one_mail_a_day_and_three_ever_to_who_never_confirms(ask, session, moment):
    outcomes = []
    for hour in range(0, 24 * 30, 6):
        moment.move_to(START + dt.timedelta(hours=hour, seconds=1))
        outcomes.append(ask("Victim@Example.org" if hour % 12 else "victim@example.org").outcome)
    assert outcomes.count(Outcome.CONFIRM) == 3
    assert [index for index, outcome in enumerate(outcomes) if outcome is Outcome.CONFIRM] == [0, 4, 8]
    assert set(outcomes) == {Outcome.CONFIRM, Outcome.LIMITED}


def test_the_limit_holds_across_publications(ask, daily):
    assert ask().outcome is Outcome.CONFIRM
    assert ask(publication_id=daily).outcome is Outcome.LIMITED


def test_who_confirmed_may_join_a_second_publication_the_same_day(ask, token, session, secret, daily, moment):
    audience.confirm(session, secret, token(ask()))
    moment.shift(1)
    assert ask(publication_id=daily).outcome is Outcome.CONFIRM


def test_an_active_reader_is_not_bombed_with_reminders_either(ask, session, secret, weekly, moment):
    subscriber(session, secret, "ana@example.org", weekly)
    outcomes = []
    for day in range(10):
        moment.move_to(START + day * DAY + dt.timedelta(seconds=day))
        outcomes.append(ask().outcome)
    assert outcomes[:3] == [Outcome.ALREADY] * 3
    assert set(outcomes[3:]) == {Outcome.LIMITED}


def test_one_network_cannot_ask_for_the_whole_town(ask, session, moment):
    limits = Limits(network_per_hour=3, network_per_day=5)
    asked = [ask(f"r{n}@example.org", network="198.51.100.7", limits=limits).outcome for n in range(5)]
    assert asked == [Outcome.CONFIRM] * 3 + [Outcome.LIMITED] * 2
    assert ask("other@example.org", network="198.51.100.8", limits=limits).outcome is Outcome.CONFIRM
    moment.shift(3601)
    asked = [ask(f"s{n}@example.org", network="::ffff:198.51.100.7", limits=limits).outcome for n in range(3)]
    assert asked == [Outcome.CONFIRM] * 2 + [Outcome.LIMITED]
    assert session.scalar(select(func.count()).select_from(Subscriber)) == 6


def test_a_households_ipv6_addresses_are_one_network(ask):
    limits = Limits(network_per_hour=1)
    assert ask("a@example.org", network="2001:db8:1:2::1", limits=limits).outcome is Outcome.CONFIRM
    assert ask("b@example.org", network="2001:db8:1:2:ffff::9", limits=limits).outcome is Outcome.LIMITED
    assert ask("c@example.org", network="2001:db8:1:3::1", limits=limits).outcome is Outcome.CONFIRM


def test_two_requests_at_once_ask_for_one_mail(database, secret, weekly):
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    together = Barrier(4)

    def request(_):
        together.wait()
        with database.transaction() as session:
            return audience.ask(
                session, secret, email="ana@example.org", publication_id=weekly, source="form", wording=""
            ).outcome

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(request, range(4)))
    assert sorted(outcomes) == [Outcome.CONFIRM] + [Outcome.LIMITED] * 3


@pytest.mark.parametrize("reason", list(SuppressionReason))
def test_only_the_readers_own_wish_is_taken_back_by_signing_up(ask, token, session, secret, weekly, reason):
    audience.suppress(session, secret, address="ana@example.org", reason=reason)
    asked = ask()
    if reason in (SuppressionReason.UNSUBSCRIBED, SuppressionReason.ERASED):
        assert asked.outcome is Outcome.CONFIRM
        audience.confirm(session, secret, token(asked))
        assert _eligible(session, weekly) == ["ana@example.org"]
    else:
        assert asked.outcome is Outcome.SUPPRESSED
        assert _eligible(session, weekly) == []


def test_a_suppression_that_comes_before_the_click_stands(ask, token, session, secret, weekly):
    asked = ask()
    audience.mark_complained(session, asked.subscriber_id, evidence="Reported as spam.")
    with pytest.raises(Refused, match="stopped"):
        audience.confirm(session, secret, token(asked))
    assert _eligible(session, weekly) == []


def test_requests_are_kept_by_hash_alone(ask, session):
    ask("ana@example.org", network="198.51.100.7")
    row = session.scalars(select(ConfirmationRequest)).one()
    assert "ana" not in row.address_hash
    assert row.at <= clock.now()
    assert len(row.address_hash) == len(row.network_hash) == 32
