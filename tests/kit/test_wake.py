import logging

import pytest

from newsletter.kit import wake


@pytest.fixture(autouse=True)
def _nobody_registered():
    yield
    wake.register(None)


def test_a_hint_goes_to_the_registered_sender():
    heard = []
    wake.register(lambda topic, ident: heard.append((topic, ident)))
    wake.wake("deliver", 7)
    assert heard == [("deliver", 7)]


def test_without_a_sender_a_hint_is_dropped():
    wake.wake("deliver", 7)


def test_a_sender_that_fails_costs_a_log_line_and_nothing_else(caplog):
    def broken(_topic, _ident):
        raise ConnectionError("the broker is away")

    wake.register(broken)
    with caplog.at_level(logging.WARNING):
        wake.wake("deliver", 7)
    assert "the broker is away" in caplog.text
