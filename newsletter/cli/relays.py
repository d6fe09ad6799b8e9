"""What `newsletter doctor` asks the mail relays: greeting, encryption, signing in.

Promise: each relay is greeted, encrypted and signed in to exactly as a send does
it, and left again; no mail is sent. A relay that fails says which step and why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from newsletter.cli.checks import Check, fail, ok, warn
from newsletter.config import Settings
from newsletter.delivery.transports.channel import Extensions
from newsletter.delivery.transports.smtp import Channel, Relay, Security, Timeouts
from newsletter.errors import ConfigError, TransportError

PATIENCE: Final = Timeouts(connect=5, greeting=10, command=10)


def relay_checks(settings: Settings) -> Iterator[Check]:
    """Ask every relay of the settings."""
    if not settings.smtp_url:
        yield fail("relay", "none is set, so every send is refused", "set NEWSLETTER_SMTP_URL")
    for url in settings.smtp_url:
        try:
            relay = Relay.parse(url)
        except ConfigError as error:
            yield fail("relay", error.message, "mend NEWSLETTER_SMTP_URL")
        else:
            yield _ask(relay)


def _ask(relay: Relay) -> Check:
    name = f"relay {relay.label}"
    try:
        offers = asyncio.run(_offers(relay))
    except TransportError as error:
        return fail(name, error.message, "check NEWSLETTER_SMTP_URL and the relay's own log")
    if relay.user and relay.security is Security.PLAIN:
        return warn(name, "takes our password unencrypted", "use smtps:// or smtp+starttls:// if the relay is far away")
    signed_in = f"signed in as {relay.user}" if relay.user else "no sign-in"
    fast = "one round trip a message" if offers.pipelining and offers.chunking else "several round trips a message"
    return ok(name, f"{relay.security}, {signed_in}, {fast}")


async def _offers(relay: Relay) -> Extensions:
    channel = await Channel.open(relay, PATIENCE)
    await channel.close()
    return channel.extensions
