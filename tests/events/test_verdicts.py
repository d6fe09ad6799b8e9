import datetime as dt

import pytest

from newsletter.events.models import Verdict
from newsletter.events.verdicts import Asked, of_request, with_time

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (Asked(user_agent=FIREFOX), Verdict.HUMAN),
        (
            Asked(user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15"),
            Verdict.HUMAN,
        ),
        (Asked(user_agent="Mozilla/5.0"), Verdict.PREFETCH),
        (Asked(user_agent=FIREFOX, prefetch=True), Verdict.PREFETCH),
        (
            Asked(
                user_agent="Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
            ),
            Verdict.PREFETCH,
        ),
        (Asked(user_agent="Mozilla/5.0 (via ggpht.com GoogleImageProxy)"), Verdict.PROXY),
        (Asked(method="HEAD", user_agent=FIREFOX), Verdict.SCANNER),
        (Asked(user_agent=""), Verdict.SCANNER),
        (Asked(user_agent="Barracuda Sentinel (EE)"), Verdict.SCANNER),
        (Asked(user_agent="python-requests/2.32"), Verdict.SCANNER),
    ],
)
def test_a_request_is_judged_by_method_and_agent(asked, verdict):
    assert of_request(asked) is verdict


def test_nobody_reads_in_the_first_seconds():
    soon, later = AT + dt.timedelta(seconds=2), AT + dt.timedelta(seconds=30)
    assert with_time(Verdict.HUMAN, soon, AT, clicked=True) is Verdict.SCANNER
    assert with_time(Verdict.PROXY, soon, AT, clicked=False) is Verdict.PREFETCH
    assert with_time(Verdict.HUMAN, later, AT, clicked=True) is Verdict.HUMAN
    assert with_time(Verdict.HUMAN, soon, None, clicked=True) is Verdict.HUMAN
