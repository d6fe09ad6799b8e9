import pytest
from factories.audience import SECRET

from newsletter.delivery.tracking import Marks
from newsletter.errors import BadToken
from newsletter.events.verp import DeliveryKey, has_token, parse

PATH = Marks(SECRET).return_path(7, 70_123, "bounces.meridian.example")


@pytest.mark.parametrize(
    "text", [PATH, PATH.upper(), f"<{PATH}>", f"prvs=1a2b={PATH}", f"mailto:{PATH}?subject=unsubscribe"]
)
def test_a_return_path_names_its_delivery(text):
    assert parse(SECRET, text) == DeliveryKey(7, 70_123)


def test_the_local_part_fits_in_64_octets():
    assert len(Marks(SECRET).return_path(2**62, 2**31, "x").partition("@")[0]) <= 64


def test_a_forged_token_names_nobody():
    with pytest.raises(BadToken):
        parse(SECRET, Marks(b"another key" * 4).return_path(7, 70_123, "bounces.meridian.example"))
    flipped = PATH.replace(PATH[5], "a" if PATH[5] != "a" else "b", 1)
    with pytest.raises(BadToken):
        parse(SECRET, flipped)


def test_text_without_a_token_has_none():
    assert not has_token("bounces@meridian.example")
    with pytest.raises(BadToken):
        parse(SECRET, "bounces@meridian.example")
