"""The warm-up curve: how much a new sender may hand to one mailbox provider on its n-th day.

Promise: a pure function of the day. The curve is of the kind that large senders
publish for new addresses (Twilio SendGrid's and Amazon SES's warm-up schedules:
from some hundreds a day to all within a month): it grows by half every day, which
is slower than their doubling, because a newsletter is sent on few days a week.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

FIRST_DAY: Final = 200
GROWTH: Final = 1.5
DAYS: Final = 30  # from the day after these on there is no limit: some 38 million a day would be the next


def allowance(since: dt.date | None, day: dt.date) -> int | None:
    """Return how many deliveries a provider gets on ``day`` of a warm-up that began on ``since``; None: no limit."""
    if since is None:
        return None
    number = (day - since).days
    if number >= DAYS:
        return None
    return int(FIRST_DAY * GROWTH ** max(number, 0))
