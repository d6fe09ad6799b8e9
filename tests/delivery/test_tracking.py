import pytest

from newsletter.delivery.tracking import BOUNCE, TRACK, Marks
from newsletter.errors import BadToken
from newsletter.kit.tokens import Sealer

SECRET = b"a test key that is long enough to be accepted"


def test_marks_open_with_their_purposes_and_no_other():
    marks = Marks(SECRET)
    assert Sealer(SECRET, TRACK).open(marks.track_token(9, 1_000_000), 2) == (9, 1_000_000)
    local, _, domain = marks.return_path(9, 1_000_000, "bounces.example.org").partition("@")
    assert domain == "bounces.example.org"
    assert Sealer(SECRET, BOUNCE).open_lower(local.removeprefix("b+").upper(), 2) == (9, 1_000_000)
    with pytest.raises(BadToken):
        Sealer(SECRET, BOUNCE).open(marks.track_token(9, 1_000_000), 2)


def test_a_return_path_fits_the_local_part_for_any_number():
    local = Marks(SECRET).return_path(2**40, 2**31, "x.org").partition("@")[0]
    assert len(local) <= 64


def test_a_message_id_is_the_persons_and_the_sends():
    marks = Marks(SECRET)
    ids = {marks.message_id(send, person, "example.org") for send in (1, 2) for person in (1, 2, 21)}
    assert len(ids) == 6
    assert marks.message_id(1, 1, "example.org") == Marks(SECRET).message_id(1, 1, "example.org")
    assert marks.message_id(1, 1, "example.org") != Marks(b"x" * 40).message_id(1, 1, "example.org")
