"""The SMTP transport as the rest of the program uses it: relays, outcomes, and mail for one person.

Promise: ``send_one`` hands over one message and returns the relay's last word, or
raises ``TransportError`` when there is none; a relay that cannot be reached or
says "later" is followed by the next one. The bulk of an issue goes through
``newsletter.delivery.send``, never through here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import uvloop

from newsletter.delivery.transports.channel import Channel, Timeouts, safe_path
from newsletter.delivery.transports.outcomes import Accepted, Deferred, Outcome, Refused, Reply, Uncertain
from newsletter.delivery.transports.relays import Relay, Security, parse_all
from newsletter.errors import Invalid, TransportError

__all__ = [
    "Accepted",
    "Channel",
    "Deferred",
    "Outcome",
    "Refused",
    "Relay",
    "Reply",
    "Security",
    "Timeouts",
    "Uncertain",
    "parse_all",
    "send_one",
]

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


def send_one(
    relays: Sequence[Relay], *, mail_from: str, rcpt_to: str, message: bytes, timeouts: Timeouts | None = None
) -> Reply:
    """Hand over one message for one recipient and return the decisive reply: 2xx, 4xx or 5xx.

    ``mail_from`` may be empty (null return path). Line ends of ``message`` are
    made CRLF. Raises ``Invalid`` for an address that cannot be written into a
    command, ``TransportError`` if no relay took part, or one took the body and was
    lost before its reply: a second attempt may then double the mail.
    """
    if not safe_path(rcpt_to) or (mail_from and not safe_path(mail_from)):
        raise Invalid("The address holds characters that mail servers do not take.", field="email")
    body = _LINE_END.sub(b"\r\n", message)
    body = body if body.endswith(b"\r\n") else body + b"\r\n"
    return uvloop.run(_send(relays, mail_from, rcpt_to, body, timeouts))


async def _send(
    relays: Sequence[Relay], mail_from: str, rcpt_to: str, message: bytes, timeouts: Timeouts | None
) -> Reply:
    problem = TransportError("no mail relay is configured")
    later: Reply | None = None
    for relay in relays:
        try:
            channel = await Channel.open(relay, timeouts)
        except TransportError as error:
            problem = error
            continue
        outcome = await channel.deliver(mail_from, rcpt_to, message)
        await channel.close()
        if isinstance(outcome, Uncertain):
            raise TransportError(f"{relay.label} may have taken the message: {outcome.why}")
        if isinstance(outcome, Accepted | Refused):
            return outcome.reply
        if outcome.command:
            later = outcome.reply
        else:
            problem = TransportError(f"{relay.label}: {outcome.reply.text}")
    if later is None:
        raise problem
    return later
