"""How each invented mailbox behaves, and who of the readers does what with the mail.

Promise: the same reader behaves the same way in every process and at every
start. Only invented readers misbehave: any other address, such as the one that a
visitor subscribes with, gets its mail. It decides; ``post``, ``returns`` and
``readers`` act.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from newsletter.cli.demo.people import Person

SPREAD: Final = 613  # prime to a thousand: neighbours in the list get slots far apart, a few hundred get all kinds


class Habit(enum.StrEnum):
    """What happens to mail for an address."""

    KEEPS = "keeps"  # is accepted, and that is all
    UNKNOWN = "unknown"  # refused at RCPT: no such user
    FULL = "full"  # refused at RCPT: over quota
    GREYLISTED = "greylisted"  # "come again" the first time, accepted the second
    BOUNCES_LATER = "bounces later"  # accepted, then a report comes back
    COMPLAINS = "complains"  # calls it spam
    AWAY = "away"  # answers that nobody is there
    SCANNED = "scanned"  # a security gateway opens every link at once
    READS = "reads"  # opens it, perhaps clicks
    LEAVES_BY_BUTTON = "leaves by button"  # the mail program's own unsubscribe button (RFC 8058)
    LEAVES_BY_PAGE = "leaves by page"  # the link in the footer, and the button on its page


# Slots of a thousand: 1 % refused, 0.5 % full, 1 % greylisted, 0.3 % bounced later, 2.5 % who read at once.
_SLOTS: Final = (
    (range(10), Habit.UNKNOWN),
    (range(10, 15), Habit.FULL),
    (range(15, 25), Habit.GREYLISTED),
    (range(25, 28), Habit.BOUNCES_LATER),
    (range(100, 125), Habit.READS),
)
# Roles that one reader each has, given to the first of those who would just keep their mail.
_SINGLE: Final = (Habit.COMPLAINS, Habit.AWAY, Habit.SCANNED)
# Of the readers the first two leave, and then one in every 120, by turns on either way.
_LEAVE_EVERY: Final = 120


def casting(people: Sequence[Person]) -> dict[str, Habit]:
    """Return the habit of every reader by address; all are lower-case."""
    habits = {person.email: _habit(person) for person in people}
    quiet = (email for email, habit in habits.items() if habit is Habit.KEEPS)
    habits |= dict(zip(quiet, _SINGLE, strict=False))
    reading = [email for email, habit in habits.items() if habit is Habit.READS]
    for nth, email in enumerate([*reading[:1], *reading[1::_LEAVE_EVERY]]):
        habits[email] = Habit.LEAVES_BY_PAGE if nth % 2 else Habit.LEAVES_BY_BUTTON
    return habits


def _habit(person: Person) -> Habit:
    slot = person.number * SPREAD % 1000
    return next((habit for slots, habit in _SLOTS if slot in slots), Habit.KEEPS)
