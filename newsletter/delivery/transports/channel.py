"""One connection to a relay, ready to take message after message.

Promise: ``Channel.open`` returns a connection that is greeted, encrypted and
authenticated as its relay asks, or raises ``TransportError``; STARTTLS that is
configured and not offered is an error, never a fall-back to clear text. ``deliver``
returns one outcome per message, whatever the server does, and attributes every
reply to its command. Where the server allows, MAIL, RCPT and the whole body leave
in one write (RFC 2920, RFC 3030).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from newsletter.delivery.transports.outcomes import Accepted, Command, Deferred, Outcome, Refused, Reply, Uncertain
from newsletter.delivery.transports.relays import Relay, Security
from newsletter.delivery.transports.wire import Lost, Wire
from newsletter.errors import TransportError

CLOSING: Final = 421
_TOO_LATE: Final = Deferred(None, Reply(0, "somebody else may have the delivery by now: the body was kept back"))
COMMANDS: Final[tuple[Command, ...]] = ("MAIL", "RCPT", "DATA")
# A path (RFC 5321 4.1.2) with nothing that could end it or the command early.
_PATH: Final = re.compile(
    r'(?:[^\x00-\x20\x7f<>()\[\]\\,;:"@]+|"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*")@[^\x00-\x20\x7f<>@"]+'
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for each reply; the defaults are those of RFC 5321 4.5.3.2."""

    connect: float = 30.0
    greeting: float = 300.0
    command: float = 300.0
    data: float = 120.0
    body: float = 600.0


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the server offered in reply to EHLO."""

    pipelining: bool = False
    chunking: bool = False
    smtputf8: bool = False
    starttls: bool = False
    size: int = 0  # 0: no limit told
    auth: frozenset[str] = frozenset()

    @classmethod
    def of(cls, reply: Reply) -> Extensions:
        """Read the lines of the reply."""
        words = [line.upper().split() for line in reply.text.split("\n")[1:]]
        offered = {line[0]: line[1:] for line in words if line}
        size = offered.get("SIZE", [])
        return cls(
            pipelining="PIPELINING" in offered,
            chunking="CHUNKING" in offered,
            smtputf8="SMTPUTF8" in offered,
            starttls="STARTTLS" in offered,
            size=int(size[0]) if size and size[0].isdecimal() else 0,
            auth=frozenset(offered.get("AUTH", [])),
        )


def _always() -> bool:
    return True


def safe_path(address: str) -> bool:
    """Whether an address can be written into a command without saying anything else (T6)."""
    return _PATH.fullmatch(address) is not None


class Channel:
    """An open connection; ``usable`` says whether it may take another message."""

    def __init__(self, relay: Relay, wire: Wire, timeouts: Timeouts) -> None:
        self.relay, self.timeouts = relay, timeouts
        self.extensions = Extensions()
        self.served = 0  # messages whose outcome was read
        self._wire = wire

    @classmethod
    async def open(
        cls, relay: Relay, timeouts: Timeouts | None = None, *, tls: ssl.SSLContext | None = None
    ) -> Channel:
        """Connect, greet, encrypt, authenticate; ``tls`` is ``relay.tls()`` if it was made already."""
        timeouts = timeouts or Timeouts()
        loop = asyncio.get_running_loop()
        if tls is None and relay.security is not Security.PLAIN:
            tls = relay.tls()
        context = tls if relay.security is Security.TLS else None
        try:
            async with asyncio.timeout(timeouts.connect):
                _, wire = await loop.create_connection(Wire, relay.host, relay.port, ssl=context)
        except (OSError, TimeoutError) as error:  # an SSLError is an OSError
            raise TransportError(f"{relay.label} cannot be reached: {str(error) or 'it does not answer'}") from error
        channel = cls(relay, wire, timeouts)
        try:
            await channel._introduce(tls)
        except Lost as lost:
            raise TransportError(f"{relay.label}: {lost.why}") from lost
        except OSError as error:
            raise TransportError(f"{relay.label}: TLS failed: {error}") from error
        except BaseException:
            wire.kill("given up")
            raise
        return channel

    @property
    def usable(self) -> bool:
        """Whether the next message may go this way."""
        return self._wire.quiet and self.served < self.relay.messages

    def kill(self, why: str) -> None:
        """Cut the connection; a message on its way becomes uncertain or deferred."""
        self._wire.kill(why)

    async def close(self) -> None:
        """Say QUIT and hang up, without insisting on an answer."""
        if self._wire.quiet:
            self._wire.write(b"QUIT\r\n")
            with contextlib.suppress(Lost):
                await self._wire.reply(1.0)
        self._wire.kill("closed")

    # -- before the first message --------------------------------------------

    async def _introduce(self, tls: ssl.SSLContext | None) -> None:
        await self._expect(await self._wire.reply(self.timeouts.greeting), 220, "it refuses connections")
        await self._hello()
        if self.relay.security is Security.STARTTLS:
            if not self.extensions.starttls:
                await self._give_up("it does not offer STARTTLS; use smtp:// or smtps:// if that is meant")
            await self._expect(await self._ask("STARTTLS"), 220, "it refuses STARTTLS")
            assert tls
            await self._wire.encrypt(tls, self.relay.host)
            await self._hello()
        if self.relay.user:
            await self._log_in()

    async def _hello(self) -> None:
        reply = await self._ask(f"EHLO {self.relay.hello}")
        self.extensions = Extensions.of(reply) if reply.positive else Extensions()
        if not reply.positive and reply.code != CLOSING:
            reply = await self._ask(f"HELO {self.relay.hello}")
        await self._expect(reply, 250, "it refuses our greeting")

    async def _log_in(self) -> None:
        user, password = self.relay.user, self.relay.password
        offered = self.extensions.auth
        if self.relay.xoauth2:
            reply = await self._ask("AUTH XOAUTH2 " + _b64(f"user={user}\1auth=Bearer {password}\1\1"))
            if reply.code == 334:  # noqa: PLR2004 - an error in JSON; an empty answer gets the real reply
                reply = await self._ask("")
        elif "PLAIN" in offered or "LOGIN" not in offered:
            reply = await self._ask("AUTH PLAIN " + _b64(f"\0{user}\0{password}"))
        else:
            reply = await self._ask("AUTH LOGIN")
            for secret in (user, password):
                if reply.code == 334:  # noqa: PLR2004 - RFC 4954: go on
                    reply = await self._ask(_b64(secret))
        await self._expect(reply, 235, "it does not accept the user and password")

    async def _ask(self, command: str) -> Reply:
        self._wire.write(command.encode() + b"\r\n")
        return await self._wire.reply(self.timeouts.command)

    async def _expect(self, reply: Reply, code: int, otherwise: str) -> None:
        if reply.code != code:
            await self._give_up(f"{otherwise}: {reply}")

    async def _give_up(self, why: str) -> None:
        await self.close()
        raise TransportError(f"{self.relay.label}: {why}")

    # -- messages ------------------------------------------------------------

    async def deliver(
        self, mail_from: str, rcpt_to: str, message: bytes, *, may_go: Callable[[], bool] = _always
    ) -> Outcome:
        """Hand over one message for one recipient; ``ValueError`` for an address that must not be written.

        ``message`` has CRLF line ends and ends with one. An empty ``mail_from`` is the null return path.
        ``may_go`` is asked right before the body would leave, which may be minutes later; if not, it does not.
        """
        if not safe_path(rcpt_to) or (mail_from and not safe_path(mail_from)):
            msg = "an address holds characters that may not stand in a command"
            raise ValueError(msg)
        extensions = self.extensions
        international = not (mail_from.isascii() and rcpt_to.isascii())
        if international and not extensions.smtputf8:
            return Refused("RCPT", Reply(553, "5.6.7 the relay does not take international addresses (SMTPUTF8)"))
        if extensions.size and len(message) > extensions.size:
            return Refused(
                "DATA", Reply(552, f"5.3.4 the message has {len(message)} octets, {extensions.size} are allowed")
            )
        mail = f"MAIL FROM:<{mail_from}>{' SMTPUTF8' if international else ''}\r\n"
        envelope = (mail.encode(), f"RCPT TO:<{rcpt_to}>\r\n".encode())
        if extensions.chunking and extensions.pipelining:
            outcome = await self._in_one_write(envelope, message) if may_go() else _TOO_LATE
        else:
            outcome = await self._with_data(envelope, message, may_go)
        if type(outcome) is not Accepted and self._wire.quiet:
            await self._reset()
        return outcome

    async def _in_one_write(self, envelope: tuple[bytes, bytes], message: bytes) -> Outcome:
        body_gone = self._wire.write(b"%bBDAT %d LAST\r\n" % (b"".join(envelope), len(message)), message)
        replies: list[Reply] = []
        why = ""
        try:
            for seconds in (self.timeouts.command, self.timeouts.command, self.timeouts.body):
                replies.append(await self._wire.reply(seconds))
                if replies[-1].code == CLOSING:
                    break
        except Lost as lost:
            why = lost.why
        return self._judge(replies, why, body_gone=body_gone)

    async def _with_data(self, envelope: tuple[bytes, bytes], message: bytes, may_go: Callable[[], bool]) -> Outcome:
        """Send the body only after a 354; with PIPELINING the three commands before it leave together."""
        steps = (*envelope, b"DATA\r\n")
        replies: list[Reply] = []
        why, body_gone = "", False
        try:
            if self.extensions.pipelining:
                self._wire.write(b"".join(steps))
            for step in steps:
                if not self.extensions.pipelining:
                    self._wire.write(step)
                replies.append(await self._wire.reply(self.timeouts.command))
                if replies[-1].code == CLOSING or (not replies[-1].positive and not self.extensions.pipelining):
                    break
            if len(replies) == len(steps) and replies[2].positive:
                go_ahead = replies.pop()  # decides nothing yet
                if go_ahead.code != 354:  # noqa: PLR2004 - RFC 5321 3.3
                    self._wire.kill(f"the server answered DATA with {go_ahead}")
                elif not may_go():
                    self._wire.kill(_TOO_LATE.reply.text)
                # With no recipient left a 354 is still possible (RFC 2920 3.1): then the body is empty.
                elif all(reply.code // 100 == 2 for reply in replies):  # noqa: PLR2004 - 2xx
                    body_gone = self._wire.write(_stuffed(message), b".\r\n")
                else:
                    self._wire.write(b".\r\n")
                replies.append(await self._wire.reply(self.timeouts.body))
        except Lost as lost:
            why = lost.why
        return self._judge(replies, why, body_gone=body_gone)

    def _judge(self, replies: list[Reply], why: str, *, body_gone: bool) -> Outcome:
        """Turn the replies, in the order of ``COMMANDS``, into the outcome; the first that is no 2xx decides."""
        if replies and replies[-1].code == CLOSING:
            self._wire.kill("the server is closing")
        for command, reply in zip(COMMANDS, replies, strict=False):
            kind = reply.code // 100
            if kind == 2:  # noqa: PLR2004 - RFC 5321 4.2.1
                continue
            if kind == 3:  # noqa: PLR2004 - where none belongs
                why = f"the server answered {command} with {reply}"
                self._wire.kill(why)
                break
            self.served += 1
            return Refused(command, reply) if reply.permanent else Deferred(command, reply)
        else:
            if len(replies) == len(COMMANDS):
                self.served += 1
                return Accepted(replies[2])
        return Uncertain(why) if body_gone else Deferred(None, Reply(0, why))

    async def _reset(self) -> None:
        """Forget the transaction that failed; a server that cannot is not asked again."""
        try:
            self._wire.write(b"RSET\r\n")
            reply = await self._wire.reply(self.timeouts.command)
        except Lost:
            return
        if reply.code != 250:  # noqa: PLR2004 - RFC 5321 4.1.1.5
            self._wire.kill("the server cannot start again")


def _stuffed(message: bytes) -> bytes:
    """Double the dots that begin lines (RFC 5321 4.5.2); an edition has none."""
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") if b"\r\n." in message else message


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
