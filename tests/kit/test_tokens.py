import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import BadToken
from newsletter.kit.tokens import MAX_TOKEN, Sealer, derive

KEY = b"k" * 32
NUMBERS = st.lists(st.integers(min_value=0, max_value=2**63 - 1), min_size=1, max_size=4).map(tuple)
URL_SAFE = set(string.ascii_letters + string.digits + "-_")


@given(NUMBERS)
def test_what_was_sealed_opens(numbers):
    sealer = Sealer(KEY, "leave")
    token = sealer.seal(*numbers)
    assert sealer.open(token, len(numbers)) == numbers
    assert set(token) <= URL_SAFE
    assert len(token) <= MAX_TOKEN


@given(NUMBERS)
def test_a_lower_case_token_survives_a_server_that_folds_case(numbers):
    sealer = Sealer(KEY, "bounce")
    token = sealer.seal_lower(*numbers)
    assert token == token.lower()
    assert sealer.open_lower(token, len(numbers)) == sealer.open_lower(token.upper(), len(numbers)) == numbers


def test_a_bounce_token_of_a_large_house_fits_a_local_part():
    token = Sealer(KEY, "bounce").seal_lower(10_000_000, 10_000_000)
    assert len(f"b+{token}") <= 64  # RFC 5321 4.5.3.1.1


@given(NUMBERS)
def test_a_token_opens_for_its_own_purpose_key_and_count_only(numbers):
    token = Sealer(KEY, "leave").seal(*numbers)
    for other, count in (
        (Sealer(KEY, "preferences"), len(numbers)),
        (Sealer(b"l" * 32, "leave"), len(numbers)),
        (Sealer(KEY, "leave"), len(numbers) + 1),
    ):
        with pytest.raises(BadToken):
            other.open(token, count)


@given(NUMBERS, st.data())
def test_a_changed_character_never_opens(numbers, data):
    sealer = Sealer(KEY, "leave")
    token = sealer.seal(*numbers)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(URL_SAFE - {token[at]})))
    with pytest.raises(BadToken):
        sealer.open(token[:at] + other + token[at + 1 :], len(numbers))


@given(NUMBERS, st.integers(1, 30))
def test_a_truncated_or_lengthened_token_never_opens(numbers, cut):
    sealer = Sealer(KEY, "leave")
    token = sealer.seal(*numbers)
    for damaged in (token[:-cut], token[cut:], token + "A" * cut, token + "=", "A" * cut + token):
        with pytest.raises(BadToken):
            sealer.open(damaged, len(numbers))


@given(st.text(max_size=200), st.integers(1, 4))
def test_arbitrary_text_is_a_bad_token_and_nothing_worse(text, count):
    sealer = Sealer(KEY, "leave")
    with pytest.raises(BadToken):
        sealer.open(text, count)
    with pytest.raises(BadToken):
        sealer.open_lower(text, count)


def test_every_purpose_has_its_own_key():
    assert len({derive(KEY, purpose) for purpose in ("confirm", "leave", "preferences", "track", "bounce")}) == 5
