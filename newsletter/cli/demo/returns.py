"""What mail systems send back: a bounce, a complaint, an automatic answer, over LMTP.

Promise: the reports have the form that real ones have (RFC 3464, RFC 5965, RFC
3834), so that the intake judges them like any other. ``hand_in`` gives a report
to the intake and says whether it was kept; an intake that is away is asked again
for some seconds, as a mail server would for days.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from email.utils import format_datetime
from typing import Final

from newsletter.cli.demo.behaviour import Habit
from newsletter.kit import clock

HOST: Final = "mx.mail.example.net"
FEEDBACK_LOOP: Final = "feedback@"  # with the domain of the return path
TRIES: Final = 8
PAUSE: Final = 2.0
MAX_ORIGINAL: Final = 60_000  # of a returned original
_BOUNDARY: Final = "=_report_{}"


def bounce(return_path: str, address: str, message: bytes) -> bytes:
    """Return a delivery status notification (RFC 3464) for a mailbox that turned out not to exist."""
    status = (
        f"Reporting-MTA: dns; {HOST}\n"
        f"Arrival-Date: {format_datetime(clock.now())}\n\n"
        f"Final-Recipient: rfc822; {address}\n"
        "Action: failed\n"
        "Status: 5.1.1\n"
        f"Diagnostic-Code: smtp; 550 5.1.1 <{address}>: user unknown in virtual mailbox table\n"
    )
    words = f"This is the mail system at host {HOST}.\n\nYour message could not be delivered to <{address}>.\n"
    return _report(
        "delivery-status",
        {"From": f"Mail Delivery System <MAILER-DAEMON@{HOST}>", "To": return_path, "Subject": "Undelivered Mail"},
        words,
        status,
        ("text/rfc822-headers", message.partition(b"\r\n\r\n")[0]),
    )


def complaint(return_path: str, address: str, message: bytes) -> bytes:
    """Return an abuse report (RFC 5965) with the original, as feedback loops send it."""
    feedback = (
        "Feedback-Type: abuse\nUser-Agent: LocalInbox-FBL/1.0\nVersion: 1\n"
        f"Original-Mail-From: <{return_path}>\nOriginal-Rcpt-To: <{address}>\n"
        f"Arrival-Date: {format_datetime(clock.now())}\n"
    )
    original = f"Return-Path: <{return_path}>\r\n".encode() + message[:MAX_ORIGINAL]
    to = FEEDBACK_LOOP + return_path.rpartition("@")[2]
    return _report(
        "feedback-report",
        {"From": f"Feedback loop <fbl@{HOST}>", "To": to, "Subject": "Abuse report"},
        "A reader marked this message as unwanted.\n",
        feedback,
        ("message/rfc822", original),
    )


def vacation(return_path: str, address: str, message: bytes) -> bytes:  # noqa: ARG001 - the signature of the three
    """Return an automatic answer (RFC 3834)."""
    fields = {
        "From": address,
        "To": return_path,
        "Subject": "Out of office: back on Monday",
        "Auto-Submitted": "auto-replied (vacation)",
        "Content-Type": "text/plain; charset=utf-8",
    }
    return _head(fields) + b"\r\nI am travelling and read mail again on Monday.\r\n"


# Which habit answers with what, and the local part that it goes to if not the return path itself.
REPORTS: Final[Mapping[Habit, Callable[[str, str, bytes], bytes]]] = {
    Habit.BOUNCES_LATER: bounce,
    Habit.COMPLAINS: complaint,
    Habit.AWAY: vacation,
}


def recipient(habit: Habit, return_path: str) -> str:
    """Return where a report is delivered to: complaints to the feedback loop's address, all else to the return path."""
    return FEEDBACK_LOOP + return_path.rpartition("@")[2] if habit is Habit.COMPLAINS else return_path


async def hand_in(host: str, port: int, *, to: str, message: bytes) -> str:
    """Deliver a report to the intake over LMTP (RFC 2033); return its last reply, or why there is none."""
    for left in range(TRIES - 1, -1, -1):
        try:
            reply = await _dialogue(host, port, to, message)
        except (OSError, asyncio.IncompleteReadError) as error:
            reply = f"421 {error}"
        if not reply.startswith("4") or not left:
            break
        await asyncio.sleep(PAUSE)
    return reply


async def _dialogue(host: str, port: int, to: str, message: bytes) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        reply = await _reply(reader)
        body = message.replace(b"\r\n.", b"\r\n..") + b"."  # a report ends in CR LF
        for step in (f"LHLO {HOST}".encode(), b"MAIL FROM:<>", f"RCPT TO:<{to}>".encode(), b"DATA", body):
            if reply[:1] not in "23":
                break
            writer.write(step + b"\r\n")
            reply = await _reply(reader)
        writer.write(b"QUIT\r\n")
        return reply
    finally:
        writer.close()


async def _reply(reader: asyncio.StreamReader) -> str:
    while True:
        line = (await reader.readuntil(b"\r\n")).decode("utf-8", "replace").rstrip()
        if line[3:4] != "-":
            return line


def _report(kind: str, fields: Mapping[str, str], words: str, machine: str, original: tuple[str, bytes]) -> bytes:
    boundary = _BOUNDARY.format(secrets.token_hex(8))
    head = _head(
        {
            **fields,
            "Auto-Submitted": "auto-replied",
            "Content-Type": f'multipart/report; report-type={kind}; boundary="{boundary}"',
        }
    )
    parts = (
        ("text/plain; charset=utf-8", words.encode()),
        (f"message/{kind}", machine.encode()),
        original,
    )
    body = b"".join(
        f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode() + content.rstrip() + b"\r\n"
        for media_type, content in ((name, _crlf(raw)) for name, raw in parts)
    )
    return head + body + f"\r\n--{boundary}--\r\n".encode()


def _head(fields: Mapping[str, str]) -> bytes:
    facts = {
        **fields,
        "Date": format_datetime(clock.now()),
        "Message-ID": f"<{secrets.token_hex(12)}@{HOST}>",
        "MIME-Version": "1.0",
    }
    return "".join(f"{name}: {value}\r\n" for name, value in facts.items()).encode()


def _crlf(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
