"""One connection: a machine that reads commands and bodies and writes the handler's replies.

Promise: a body ends only at CRLF "." CRLF or at its counted octet; one that is
too big is read to its end and refused without being kept; whatever a client
sends gets a reply of RFC 5321 or a hang-up. Commands first, then bodies.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final

from newsletter.kit.smtpd.handler import Answer, Envelope, Handler, Limits, Replies, Reply, Session
from newsletter.kit.smtpd.wire import Wire

log = logging.getLogger(__name__)

BODY_END: Final = b"\r\n.\r\n"
CR: Final = 13
PATH: Final = re.compile(r'(?:FROM|TO): *<((?:"(?:[^"\\]|\\.)*"|[^">])*)>(?: (.*))?$', re.IGNORECASE)
SIZE: Final = re.compile(r"\bSIZE=(\d{1,18})\b", re.IGNORECASE)
BDAT: Final = re.compile(r"(\d{1,18})( +LAST)? *$", re.IGNORECASE)
CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
FAILED: Final = "451 4.3.0 Local error, try again later"
TOO_BIG: Final = "552 5.3.4 Message too big"


class Connection(Wire):
    """The protocol machine: between commands ``state`` is ``_command``, inside a body ``_text`` or ``_octets``."""

    def __init__(self, handler: Handler, session: Session, limits: Limits, live: set[Wire]) -> None:
        super().__init__(handler, session, limits, live)
        self.state: Callable[[bytes, int], int] = self._command
        self.envelope: Envelope | None = None
        self.body = bytearray()
        self.size = 0  # octets of this body so far, kept or not
        self.chunk = 0  # octets of the BDAT chunk still to come
        self.last = False
        self.refusal: Reply = ""  # BDAT: read the chunk, then say this

    def step(self, data: bytes, position: int) -> int:
        """Read a command or a piece of a body."""
        return self.state(data, position)

    # -- commands ------------------------------------------------------------

    def _command(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        if end < 0:
            if len(data) - position > self.limits.line_bytes:
                self.say(Answer("500 5.5.2 Line too long", drop=True))
            return -1
        line = data[position : end - 1]
        if end == position or data[end - 1] != CR or CONTROL.search(line):
            self.complain("500 5.5.2 A command is one line that ends in CR LF")
        elif end - position > self.limits.line_bytes:
            self.complain("500 5.5.2 Line too long")
        else:
            verb, _, argument = line.decode("utf-8", "surrogateescape").partition(" ")
            command = COMMANDS.get(verb.upper())
            if command:
                command(self, argument)
            else:
                self.complain("500 5.5.1 Command not known")
        return end + 1

    def _hello(self, argument: str) -> None:
        self._reset()
        self.session.client = argument
        lines = [self.session.hostname, *self.handler.extensions(self.session)]
        for line in lines:
            self.say(f"250-{line}")
        self.say(f"250 SIZE {self.limits.message_bytes}")

    def _ehlo(self, argument: str) -> None:
        if self.session.lmtp:
            self.complain("500 5.5.1 This is LMTP, say LHLO")
        else:
            self._hello(argument)

    def _lhlo(self, argument: str) -> None:
        if self.session.lmtp:
            self._hello(argument)
        else:
            self.complain("500 5.5.1 This is SMTP, say EHLO")

    def _helo(self, argument: str) -> None:
        self._reset()
        self.session.client = argument
        self.say(f"250 {self.session.hostname}")

    def _mail(self, argument: str) -> None:
        path = PATH.match(argument)
        if self.envelope is not None:
            self.complain("503 5.5.1 A transaction is open")
        elif path is None:
            self.complain("501 5.5.4 Syntax: MAIL FROM:<address>")
        elif (size := SIZE.search(path[2] or "")) and int(size[1]) > self.limits.message_bytes:
            self.say(TOO_BIG)
        else:
            reply = self.handler.mail(self.session, path[1])
            if _positive(reply):
                self.envelope = Envelope(path[1])
            self.say(reply)

    def _rcpt(self, argument: str) -> None:
        path = PATH.match(argument)
        if self.envelope is None:
            self.complain("503 5.5.1 MAIL first")
        elif path is None or not path[1]:
            self.complain("501 5.5.4 Syntax: RCPT TO:<address>")
        elif len(self.envelope.rcpt_to) >= self.limits.recipients:
            self.say("452 4.5.3 Too many recipients")
        else:
            reply = self.handler.rcpt(self.session, path[1])
            if _positive(reply):
                self.envelope.rcpt_to.append(path[1])
            self.say(reply)

    def _rset(self, _: str) -> None:
        self._reset()
        self.say("250 2.0.0 Ok")

    def _noop(self, _: str) -> None:
        self.say("250 2.0.0 Ok")

    def _vrfy(self, _: str) -> None:
        self.say("252 2.5.2 Send some mail, I will try")

    def _quit(self, _: str) -> None:
        self.say(Answer("221 2.0.0 Bye", drop=True))

    def _reset(self) -> None:
        self.envelope = None
        self.body = bytearray()
        self.size = 0
        self.refusal = ""

    # -- bodies --------------------------------------------------------------

    def _data(self, _: str) -> None:
        if self.envelope is None or not self.envelope.rcpt_to:
            self.say("503 5.5.1 No valid recipients")
            return
        reply = self.handler.begin(self.session, self.envelope)
        if _positive(reply):
            self.body += b"\r\n"  # so that a body without any line ends like every other
            self.state = self._text
        self.say(reply)

    def _text(self, data: bytes, position: int) -> int:
        """Gather a DATA body up to its dot; what is beyond the limit is read and forgotten."""
        searched = max(len(self.body) - len(BODY_END) + 1, 0)
        self.body += memoryview(data)[position:]
        end = self.body.find(BODY_END, searched)
        kept = self.handler.keeps_body and self.size + len(self.body) <= self.limits.message_bytes + len(BODY_END)
        if end < 0:
            if not kept:
                self.size += len(self.body) - 4
                del self.body[:-4]  # the dot may be cut in two by packets
            return len(data)
        extra = len(self.body) - end - len(BODY_END)
        refusal = TOO_BIG if self.size + end > self.limits.message_bytes else ""
        message = bytes(self.body[: end + 2]).replace(b"\r\n.", b"\r\n")[2:] if kept and not refusal else b""
        self.state = self._command
        self._done(refusal, message)
        return len(data) - extra

    def _bdat(self, argument: str) -> None:
        words = BDAT.match(argument)
        if words is None:  # where the next command begins, nobody knows
            self.say(Answer("501 5.5.4 Syntax: BDAT octets [LAST]", drop=True))
            return
        self.chunk, self.last = int(words[1]), bool(words[2])
        if self.envelope is None or not self.envelope.rcpt_to:
            self.refusal = self.refusal or "503 5.5.1 No valid recipients"
        elif not self.refusal and not self.size:
            reply = self.handler.begin(self.session, self.envelope)
            if isinstance(reply, Answer) and reply.drop:
                self.say(reply)
                return
            self.refusal = "" if _positive(reply) else reply
        self.state = self._octets
        if not self.chunk:
            self._chunk_done(b"")

    def _octets(self, data: bytes, position: int) -> int:
        taken = min(self.chunk, len(data) - position)
        self.chunk -= taken
        self.size += taken
        whole = b""
        if self.size > self.limits.message_bytes:
            self.refusal = TOO_BIG
        if self.handler.keeps_body and not self.refusal:
            if self.last and not self.chunk and not self.body:
                whole = data[position : position + taken]  # all of it in one packet: one copy, not two
            else:
                self.body += memoryview(data)[position : position + taken]
        if not self.chunk:
            self._chunk_done(whole)
        return position + taken

    def _chunk_done(self, whole: bytes) -> None:
        self.state = self._command
        if self.last:
            self._done(self.refusal, whole or bytes(self.body))
        else:
            self.say(self.refusal or "250 2.0.0 Ok")

    def _done(self, refusal: Reply, message: bytes) -> None:
        envelope = self.envelope or Envelope("")
        self._reset()
        if refusal:
            self._conclude(envelope, refusal)
            return
        self.session.messages += 1
        try:
            result = self.handler.data(self.session, envelope, message)
        except Exception:
            log.exception("the handler failed; the client is asked to try again")
            result = FAILED
        if isinstance(result, Awaitable):
            self.late = self.loop.create_task(self._await(envelope, result))
        else:
            self._conclude(envelope, result)

    async def _await(self, envelope: Envelope, result: Awaitable[Replies]) -> None:
        self.flush()
        try:
            replies = await result
        except Exception:
            log.exception("the handler failed; the client is asked to try again")
            replies = FAILED
        self.late = None
        self._conclude(envelope, replies)
        if not self.late:
            self.read_on()

    def _conclude(self, envelope: Envelope, replies: Replies) -> None:
        if isinstance(replies, str | Answer):
            replies = [replies] * (len(envelope.rcpt_to) if self.session.lmtp and envelope.rcpt_to else 1)
        self.say(*replies)


COMMANDS: Final[dict[str, Callable[[Connection, str], None]]] = {
    name: getattr(Connection, f"_{name.lower()}")
    for name in ("EHLO", "LHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "QUIT")
}


def _positive(reply: Reply) -> bool:
    return reply[:1] in ("2", "3") if isinstance(reply, str) else reply.positive
