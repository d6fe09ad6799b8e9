from newsletter.delivery import states
from newsletter.delivery.models import DeliveryState, SendState


def test_every_state_has_its_row():
    assert set(states.SEND) == set(SendState)
    assert set(states.DELIVERY) == set(DeliveryState)


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
