"""What is said before the first message, to a server that follows a script word by word."""

import base64
import contextlib
import socket
import threading

import pytest
import uvloop

from newsletter.delivery.transports.channel import Channel, Timeouts
from newsletter.delivery.transports.outcomes import Accepted
from newsletter.delivery.transports.relays import Relay
from newsletter.errors import TransportError

QUICK = Timeouts(connect=5, greeting=2, command=2, data=2, body=2)
MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Script:
    """Answers each line with the next of its replies and keeps what was said; no reply hangs up."""

    def __init__(self, *replies, greeting="220 mx.example.org ESMTP"):
        self.replies, self.greeting = list(replies), greeting
        self.heard = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        self._thread.join(10)

    def _serve(self):
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(f"{self.greeting}\r\n".encode())
                for line in lines:
                    self.heard.append(line.decode().rstrip("\r\n"))
                    if not self.replies:
                        return
                    client.sendall(self.replies.pop(0).encode() + b"\r\n")


def introduced(script, scheme="smtp", who="", options="", deliver=False):
    """Open a channel, and deliver one message if asked to."""

    async def go():
        relay = Relay.parse(f"{scheme}://{who}127.0.0.1:{script.port}?name=news.example.org{options}")
        channel = await Channel.open(relay, QUICK)
        outcome = await channel.deliver("desk@example.org", "ana@example.org", MESSAGE) if deliver else None
        await channel.close()
        return outcome

    return uvloop.run(go())


EHLO = "EHLO news.example.org"


def test_xoauth2_sends_the_token_as_google_and_microsoft_describe_it():
    with Script("250-mx\r\n250 AUTH XOAUTH2 PLAIN", "235 2.7.0 Accepted", "221 Bye") as script:
        introduced(script, who="ana%40example.org:token@", options="&auth=xoauth2")
    token = b64("user=ana@example.org\1auth=Bearer token\1\1")
    assert script.heard[:2] == [EHLO, f"AUTH XOAUTH2 {token}"]


def test_a_token_that_is_not_taken_is_answered_with_an_empty_line_and_said():
    error = b64('{"status":"401"}')
    with (
        Script("250-mx\r\n250 AUTH XOAUTH2", f"334 {error}", "535 5.7.8 Token expired", "221 Bye") as script,
        pytest.raises(
            TransportError, match=r"does not accept the user and password: 535 5\.7\.8 Token expired"
        ) as caught,
    ):
        introduced(script, who="ana:token@", options="&auth=xoauth2")
    assert script.heard[2] == ""
    assert "token@" not in caught.value.message


def test_a_server_that_knows_only_login_gets_login():
    with Script("250-mx\r\n250 AUTH LOGIN", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 Ok", "221 Bye") as script:
        introduced(script, who="ana:s%20cret@")
    assert script.heard[1:4] == ["AUTH LOGIN", b64("ana"), b64("s cret")]


def test_plain_comes_before_login():
    with Script("250-mx\r\n250 AUTH LOGIN PLAIN", "235 Ok", "221 Bye") as script:
        introduced(script, who="ana:secret@")
    assert script.heard[1] == f"AUTH PLAIN {b64(chr(0) + 'ana' + chr(0) + 'secret')}"


@pytest.mark.parametrize(
    "reply", ["535 5.7.8 no", "454 4.7.0 later", "421 4.3.2 closing", "334 more", "250 what"], ids=str.split
)
def test_whatever_is_not_235_is_no_sign_in(reply):
    with Script("250-mx\r\n250 AUTH PLAIN", reply) as script, pytest.raises(TransportError, match="does not accept"):
        introduced(script, who="ana:secret@")


def test_a_server_that_does_not_know_ehlo_is_greeted_in_the_old_way_and_served_step_by_step():
    replies = ["502 5.5.1 Unknown", "250 mx", "250 Ok", "250 Ok", "354 Go on", "", "", "", "250 Ok: queued", "221 Bye"]

    class Old(Script):
        def _serve(self):
            client, _ = self._listener.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(b"220 mx SMTP\r\n")
                for line in lines:
                    self.heard.append(line.decode().rstrip("\r\n"))
                    if answer := self.replies.pop(0):
                        client.sendall(answer.encode() + b"\r\n")
                    if not self.replies:
                        return

    with Old(*replies) as script:
        assert isinstance(introduced(script, deliver=True), Accepted)
    assert script.heard[:5] == [
        EHLO,
        "HELO news.example.org",
        "MAIL FROM:<desk@example.org>",
        "RCPT TO:<ana@example.org>",
        "DATA",
    ]
    assert script.heard[5:9] == ["Subject: hello", "", "body", "."]


def test_a_421_to_the_greeting_is_not_followed_by_another_one():
    with Script("421 4.3.2 Too busy") as script, pytest.raises(TransportError, match=r"421 4\.3\.2 Too busy"):
        introduced(script)
    assert script.heard[0] == EHLO
    assert not any(line.startswith("HELO") for line in script.heard)


def test_replies_that_were_slipped_in_before_tls_are_an_attack():
    """CVE-2011-0411 and its kind: what stands in clear text behind the 220 must not count as encrypted."""
    with (
        Script("250-mx\r\n250 STARTTLS", "220 Go ahead\r\n250-mx\r\n250 AUTH PLAIN") as script,
        pytest.raises(TransportError, match="spoke before TLS"),
    ):
        introduced(script, scheme="smtp+starttls", who="ana:secret@")
    assert script.heard == [EHLO, "STARTTLS"], "no password was said"


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available", "502 Unknown", "421 closing"])
def test_a_refused_starttls_is_never_replaced_by_clear_text(reply):
    with (
        Script("250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS", reply) as script,
        pytest.raises(TransportError, match="refuses STARTTLS"),
    ):
        introduced(script, scheme="smtp+starttls", who="ana:secret@")
    assert not any("AUTH" in line for line in script.heard)
