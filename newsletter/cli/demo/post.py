"""The mail servers of the invented readers, all in one: what they answer over SMTP.

Promise: every attempt is remembered in the inbox with the answer it got. Answers
follow ``behaviour`` and are worded like those of real mail servers. What happens
after a message was accepted is left to ``consequence``, which must not block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from newsletter.cli.demo.behaviour import Habit
from newsletter.kit import smtpd
from newsletter.web.inbox import Box, Fate

ANSWERS: Final[Mapping[Habit, tuple[Fate, str]]] = {
    Habit.UNKNOWN: (Fate.REFUSED, "550 5.1.1 <{address}>: Recipient address rejected: User unknown"),
    Habit.FULL: (Fate.REFUSED, "552 5.2.2 <{address}>: Mailbox full, quota exceeded"),
    Habit.GREYLISTED: (Fate.DEFERRED, "451 4.7.1 <{address}>: Greylisted, please try again later"),
}
ACCEPTED: Final = "250 2.0.0 Ok: queued"

Consequence = Callable[[Habit, str, str, bytes], None]  # habit, return path, recipient, message


class Post(smtpd.Handler):
    """Answers for every mailbox and remembers what came."""

    def __init__(self, box: Box, habits: Mapping[str, Habit], consequence: Consequence) -> None:
        self.box = box
        self.habits = habits
        self.consequence = consequence
        self._senders: dict[int, str] = {}  # the return path of each connection's transaction
        self._tried: set[str] = set()  # who was turned away once

    def connect(self, session: smtpd.Session) -> smtpd.Reply:
        """Greet like a mail server of nobody in particular."""
        return f"220 {session.hostname} ESMTP local inbox"

    def mail(self, session: smtpd.Session, address: str) -> smtpd.Reply:
        """Note the return path for the envelopes that are refused."""
        self._senders[session.number] = address
        return super().mail(session, address)

    def rcpt(self, session: smtpd.Session, address: str) -> smtpd.Reply:
        """Accept, or refuse as this mailbox does."""
        habit = self.habits.get(address.casefold(), Habit.KEEPS)
        come_again = habit is Habit.GREYLISTED and address in self._tried
        if habit not in ANSWERS or come_again:
            return super().rcpt(session, address)
        self._tried.add(address)
        fate, wording = ANSWERS[habit]
        reply = wording.format(address=address)
        self.box.add(fate, mail_from=self._senders.get(session.number, ""), rcpt_to=address, reply=reply)
        return reply

    def data(self, session: smtpd.Session, envelope: smtpd.Envelope, message: bytes) -> smtpd.Replies:  # noqa: ARG002 - the handler's signature
        """Take the message into the inbox and let it have its consequences."""
        for address in envelope.rcpt_to:
            self.box.add(Fate.ACCEPTED, mail_from=envelope.mail_from, rcpt_to=address, reply=ACCEPTED, message=message)
            habit = self.habits.get(address.casefold(), Habit.KEEPS)
            if habit is not Habit.KEEPS:
                self.consequence(habit, envelope.mail_from, address, message)
        return ACCEPTED
