"""What `newsletter doctor` must ask others about: broker, workers, beat.

Promise: each question waits a few seconds at most and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.cli.checks import Check, fail, ok, warn
from newsletter.config import Settings
from newsletter.jobs.inspection import BrokerAway, living
from newsletter.kit.logs import redact


def broker_checks(settings: Settings) -> Iterator[Check]:
    """Ask the broker, and through it the workers and beat."""
    address = redact(settings.broker)
    try:
        found = living(settings)
    except BrokerAway as error:
        start = "start it with: newsletter run" if settings.embedded_broker else "check NEWSLETTER_BROKER_URL"
        yield warn("broker", f"{address} cannot be reached: {error.message}", f"{start}; until then work begins late")
        yield warn("workers", "cannot be asked without a broker", "look at their logs")
        return
    yield ok("broker", address)
    if found.workers:
        yield ok("workers", ", ".join(found.workers))
    else:
        yield fail("workers", "none answers, so nothing is sent", "start one: newsletter worker (or newsletter run)")
    if found.beats:
        yield ok("beat", ", ".join(found.beats))
    else:
        yield warn("beat", "does not answer; workers look by themselves every 10 s", "start it: newsletter beat")
