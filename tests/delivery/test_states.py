import pytest

from newsletter.delivery import states
from newsletter.delivery.models import DeliveryState, SendState


def test_every_state_has_its_row():
    assert set(states.SEND) == set(SendState)
    assert set(states.DELIVERY) == set(DeliveryState)


DELIVERY = {
    "pending": {"claimed", "skipped", "accepted"},
    "claimed": {"sending", "pending", "skipped", "refused"},
    "sending": {"accepted", "deferred", "refused", "uncertain", "pending"},
    "accepted": set(),
    "deferred": {"claimed", "pending", "skipped", "accepted"},
    "refused": {"pending"},
    "uncertain": {"accepted", "refused", "pending"},
    "skipped": set(),
}
SEND = {
    "scheduled": {"freezing", "missed", "cancelled"},
    "freezing": {"sending"},
    "sending": {"paused", "complete", "cancelled"},
    "paused": {"sending", "cancelled"},
    "complete": {"sending"},
    "missed": {"scheduled", "cancelled"},
    "cancelled": {"scheduled"},
}


@pytest.mark.parametrize(("table", "moves"), [(states.DELIVERY, DELIVERY), (states.SEND, SEND)])
def test_the_tables_allow_these_moves_and_no_other(table, moves):
    assert {str(state): set(map(str, targets)) for state, targets in table.items()} == moves


def test_a_delivery_is_unfinished_until_it_has_an_outcome():
    assert set(map(str, states.CLAIMABLE)) == {"pending", "deferred"}
    assert set(map(str, states.UNFINISHED)) == {"pending", "deferred", "claimed", "sending"}


def test_what_was_accepted_or_skipped_never_moves_again():
    assert not states.DELIVERY[DeliveryState.ACCEPTED]
    assert not states.DELIVERY[DeliveryState.SKIPPED]


def test_only_what_is_claimed_can_reach_the_wire():
    assert states.sources(states.DELIVERY, DeliveryState.SENDING) == [DeliveryState.CLAIMED]


def test_every_unfinished_delivery_can_reach_an_end():
    ends = {DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.SKIPPED}
    for state in states.UNFINISHED:
        seen, todo = set(), [state]
        while todo:
            todo += [one for one in states.DELIVERY[todo[-1]] if one not in seen and not seen.add(one)] if todo else []
            todo = [one for one in todo if one not in seen] if not ends & seen else []
        assert ends & seen
