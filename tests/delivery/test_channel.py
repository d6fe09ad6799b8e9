import ssl
import time

import pytest
import uvloop
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from factories.certificates import self_signed
from factories.delivery import Inbox

from newsletter.delivery.transports.channel import Channel, Extensions, Timeouts, safe_path
from newsletter.delivery.transports.outcomes import Accepted, Deferred, Refused, Reply, Uncertain
from newsletter.delivery.transports.relays import Relay
from newsletter.errors import TransportError
from newsletter.kit import smtpd

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
ME, ANA, BEN = "desk@example.org", "ana@example.org", "ben@example.org"
OFFERS = {
    "one write": None,
    "pipelined": ("PIPELINING", "SMTPUTF8"),
    "step by step": (),
}
QUICK = Timeouts(connect=5, greeting=0.3, command=0.3, data=0.3, body=0.3)


@pytest.fixture(params=OFFERS)
def inbox(request):
    """A relay that offers each of the three ways a message can travel."""
    return Inbox(OFFERS[request.param])


def deliver(inbox, *recipients, message=MESSAGE, timeouts=None, options=""):
    """Deliver one message to each recipient over one connection; return the outcomes and whether it is still usable."""

    async def go(port):
        channel = await Channel.open(Relay.parse(f"smtp://127.0.0.1:{port}{options}"), timeouts)
        try:
            outcomes = [await channel.deliver(ME, to, message) for to in recipients]
            return outcomes, channel.usable
        finally:
            await channel.close()

    with smtpd.Server(inbox) as server:
        return uvloop.run(go(server.port))


def test_messages_arrive_whole_one_after_the_other(inbox):
    stuffed = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n" + b"long line " * 300 + b"\r\n"
    outcomes, usable = deliver(inbox, ANA, BEN, message=stuffed)
    assert outcomes == [Accepted(Reply(250, "2.0.0 Ok: queued as X1"))] * 2
    assert inbox.kept == [(ME, ANA, stuffed), (ME, BEN, stuffed)]
    assert usable
    assert inbox.sessions == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("451 4.7.1 Later", Deferred("RCPT", Reply(451, "4.7.1 Later"))),
        ("550 5.1.1 No such user", Refused("RCPT", Reply(550, "5.1.1 No such user"))),
    ],
)
def test_a_refusal_at_rcpt_is_attributed_and_the_next_message_goes_through(inbox, reply, expected):
    inbox.at_rcpt[ANA] = reply
    outcomes, usable = deliver(inbox, ANA, BEN)
    assert outcomes == [expected, Accepted(Reply(250, "2.0.0 Ok: queued as X1"))]
    assert inbox.accepted == {BEN: 1}
    assert usable


def test_a_refusal_of_the_body_is_attributed_to_data(inbox):
    inbox.at_data[ANA] = "552 5.3.4 Too big for this mailbox"
    inbox.at_data[BEN] = "451 4.3.0 Disk is busy"
    outcomes, _ = deliver(inbox, ANA, BEN)
    assert outcomes == [
        Refused("DATA", Reply(552, "5.3.4 Too big for this mailbox")),
        Deferred("DATA", Reply(451, "4.3.0 Disk is busy")),
    ]


def test_a_refusal_of_the_sender_is_attributed_to_mail(inbox):
    inbox.at_mail = ["530 5.7.0 Authentication required"]
    outcomes, usable = deliver(inbox, ANA, BEN)
    assert outcomes[0] == Refused("MAIL", Reply(530, "5.7.0 Authentication required"))
    assert isinstance(outcomes[1], Accepted)
    assert usable


@pytest.mark.parametrize("where", ["at_mail", "at_rcpt", "at_data"])
def test_a_421_anywhere_defers_and_ends_the_connection(inbox, where):
    answer = smtpd.Answer("421 4.3.2 Closing", drop=True)
    setattr(inbox, where, [answer] if where == "at_mail" else {ANA: answer})
    outcomes, usable = deliver(inbox, ANA)
    command = {"at_mail": "MAIL", "at_rcpt": "RCPT", "at_data": "DATA"}[where]
    assert outcomes == [Deferred(command, Reply(421, "4.3.2 Closing"))]
    assert not usable


def test_a_connection_that_breaks_after_the_body_is_uncertain(inbox):
    inbox.at_data[ANA] = smtpd.Answer(drop=True)
    outcomes, usable = deliver(inbox, ANA)
    assert outcomes == [Uncertain("the server closed the connection")]
    assert inbox.received == {ANA: 1}
    assert not usable


@pytest.mark.parametrize("offers", [OFFERS["pipelined"], OFFERS["step by step"]])
def test_a_connection_that_breaks_before_the_body_is_deferred(offers):
    inbox = Inbox(offers)
    inbox.at_rcpt[ANA] = smtpd.Answer(drop=True)
    outcomes, _ = deliver(inbox, ANA)
    assert outcomes == [Deferred(None, Reply(0, "the server closed the connection"))]


def test_a_connection_that_breaks_before_any_reply_is_uncertain_if_the_body_left_in_the_same_write():
    inbox = Inbox()
    inbox.at_mail = [smtpd.Answer(drop=True)]
    outcomes, _ = deliver(inbox, ANA)
    assert isinstance(outcomes[0], Uncertain)


def test_a_recipient_who_was_refused_stays_refused_when_the_connection_breaks_afterwards():
    class Breaks(Inbox):
        def rcpt(self, session, address):
            return smtpd.Answer("550 5.1.1 No such user", drop=True)

    outcomes, _ = deliver(Breaks(), ANA)
    assert outcomes == [Refused("RCPT", Reply(550, "5.1.1 No such user"))]


def test_a_reply_to_the_body_that_does_not_come_in_time_is_uncertain(inbox):
    inbox.at_data[ANA] = smtpd.Answer("250 2.0.0 at last", delay=2)
    outcomes, usable = deliver(inbox, ANA, timeouts=QUICK)
    assert outcomes == [Uncertain("the server did not answer in time")]
    assert not usable


def test_a_late_reply_is_waited_for(inbox):
    inbox.at_data[ANA] = smtpd.Answer("250 2.0.0 at last", delay=0.5)
    outcomes, _ = deliver(inbox, ANA)
    assert outcomes == [Accepted(Reply(250, "2.0.0 at last"))]


@pytest.mark.parametrize(
    "raw", [b"\x00\xff garbage \r\n", b"well, thank you\r\n", b"250-one\r\n550 two\r\n", b"354 go\r\n"]
)
def test_a_reply_to_the_body_that_is_none_is_uncertain(inbox, raw):
    inbox.at_data[ANA] = smtpd.Answer(raw=(raw,))
    outcomes, usable = deliver(inbox, ANA)
    assert isinstance(outcomes[0], Uncertain)
    assert not usable


def test_half_a_reply_is_no_reply(inbox):
    inbox.at_data[ANA] = smtpd.Answer(raw=(b"250 2.0.0 O",), drop=True)
    outcomes, _ = deliver(inbox, ANA)
    assert isinstance(outcomes[0], Uncertain)


def test_a_reply_in_pieces_over_several_lines_is_one_reply(inbox):
    inbox.at_data[ANA] = smtpd.Answer(raw=(b"25", b"0-2.0.0 queued\r", b"\n250 2.0.0", b" as Y7\r\n"))
    outcomes, usable = deliver(inbox, ANA)
    assert outcomes == [Accepted(Reply(250, "2.0.0 queued\n2.0.0 as Y7"))]
    assert usable


@pytest.mark.parametrize("offers", [OFFERS["pipelined"], OFFERS["step by step"]])
def test_a_250_to_data_before_the_body_is_not_an_acceptance(offers):
    class Eager(Inbox):
        def begin(self, session, envelope):
            return smtpd.Answer("250 2.0.0 Ok")

    outcomes, usable = deliver(Eager(offers), ANA)
    assert isinstance(outcomes[0], Deferred)
    assert not usable


def test_a_message_bigger_than_the_relay_takes_is_refused_without_being_sent(inbox):
    with smtpd.Server(inbox, limits=smtpd.Limits(message_bytes=1000)) as server:

        async def go():
            channel = await Channel.open(Relay.parse(f"smtp://127.0.0.1:{server.port}"))
            outcome = await channel.deliver(ME, ANA, b"x" * 1001 + b"\r\n")
            await channel.close()
            return outcome

        outcome = uvloop.run(go())
    assert isinstance(outcome, Refused)
    assert (outcome.command, outcome.reply.code, outcome.reply.enhanced) == ("DATA", 552, "5.3.4")
    assert not inbox.received


def test_an_international_address_goes_with_smtputf8_or_not_at_all(inbox):
    outcomes, usable = deliver(inbox, "jürgen@example.org", ANA)
    if "SMTPUTF8" in inbox.extensions(None):
        assert isinstance(outcomes[0], Accepted)
        assert inbox.accepted == {"jürgen@example.org": 1, ANA: 1}
    else:
        assert isinstance(outcomes[0], Refused)
        assert outcomes[0].reply.enhanced == "5.6.7"
    assert isinstance(outcomes[1], Accepted)
    assert usable


@pytest.mark.parametrize(
    "address",
    [
        "ana@example.org\r\nRCPT TO:<evil@example.org>",
        "ana@example.org\n",
        "ana\0@example.org",
        "ana@example.org> SIZE=1",
        "<ana@example.org>",
        "ana ben@example.org",
        "ana@example.org ",
        "ana",
        "",
        "ana@",
        '"a\r\nb"@example.org',
    ],
)
def test_no_address_can_say_more_than_itself(address):
    inbox = Inbox()
    assert not safe_path(address)
    with pytest.raises(ValueError, match="characters"):
        deliver(inbox, address)
    with pytest.raises(ValueError, match="characters"):

        async def go(port):
            channel = await Channel.open(Relay.parse(f"smtp://127.0.0.1:{port}"))
            try:
                await channel.deliver(address or "\r\n", ANA, MESSAGE)
            finally:
                await channel.close()

        with smtpd.Server(inbox) as server:
            uvloop.run(go(server.port))
    assert not inbox.received


@pytest.mark.parametrize("address", ["a.b+c@example.org", '"a b"@example.org', "o'neil@example.org", "ü@example.org"])
def test_ordinary_and_odd_addresses_are_fit(address):
    assert safe_path(address)


def test_the_extensions_of_ehlo_are_read():
    reply = Reply(250, "mx.example.org\nPIPELINING\nsize 1000\nAUTH=LOGIN\nAUTH PLAIN LOGIN\nCHUNKING\nSIZE")
    found = Extensions.of(reply)
    assert found.pipelining
    assert found.chunking
    assert found.auth == {"PLAIN", "LOGIN"}
    assert found.size == 0
    assert not found.starttls


# -- before the first message -----------------------------------------------------


def opened(url, timeouts=QUICK):
    async def go():
        channel = await Channel.open(Relay.parse(url), timeouts)
        outcome = await channel.deliver(ME, ANA, MESSAGE)
        await channel.close()
        return outcome

    return uvloop.run(go())


def test_a_port_that_nobody_listens_on_is_a_transport_error():
    with smtpd.Server(Inbox()) as server:
        port = server.port
    with pytest.raises(TransportError, match=f"127.0.0.1:{port} cannot be reached"):
        opened(f"smtp://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("554 5.7.1 Go away", "refuses connections: 554 5.7.1 Go away"),
        (smtpd.Answer("421 4.3.2 Busy", drop=True), "refuses connections: 421 4.3.2 Busy"),
        (smtpd.Answer(drop=True), "the server closed the connection"),
        (smtpd.Answer(raw=(b"SSH-2.0-OpenSSH\r\n",)), "no reply: SSH-2.0-OpenSSH"),
        (smtpd.Answer("220 late", delay=2), "did not answer in time"),
    ],
)
def test_a_greeting_that_is_none_says_what_came(answer, words):
    class Rude(Inbox):
        def connect(self, session):
            return answer

    with smtpd.Server(Rude()) as server, pytest.raises(TransportError, match=words):
        opened(f"smtp://127.0.0.1:{server.port}")


def test_starttls_that_is_not_offered_is_never_replaced_by_clear_text():
    inbox = Inbox()
    with smtpd.Server(inbox) as server, pytest.raises(TransportError, match="does not offer STARTTLS"):
        opened(f"smtp+starttls://127.0.0.1:{server.port}")
    assert not inbox.received


@pytest.fixture
def certificate(tmp_path):
    """A server's TLS context, and the environment in which its certificate is trusted."""
    paths = self_signed(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*paths)
    return context, paths[0]


def test_implicit_tls_checks_the_certificate(certificate, monkeypatch):
    context, trusted = certificate
    inbox = Inbox()
    with smtpd.Server(inbox, tls=context) as server:
        with pytest.raises(TransportError, match="certificate verify failed"):
            opened(f"smtps://localhost:{server.port}")
        assert isinstance(opened(f"smtps://localhost:{server.port}?verify=no"), Accepted)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert isinstance(opened(f"smtps://localhost:{server.port}"), Accepted)


class Keeper:
    """What aiosmtpd, somebody else's server, calls."""

    def __init__(self):
        self.kept = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.kept.append((envelope.rcpt_tos, envelope.content, session.ssl is not None))
        return "250 Ok"


def authenticator(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ana", b"secret")
    return AuthResult(success=right, handled=False)


class FreePort(Controller):
    """aiosmtpd's server on a port that the system chooses."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def strict(certificate):
    """A server that insists on STARTTLS and a password."""
    server = FreePort(
        Keeper(),
        hostname="127.0.0.1",
        port=0,
        tls_context=certificate[0],
        require_starttls=True,
        auth_required=True,
        authenticator=authenticator,
    )
    server.start()
    yield server
    server.stop()


def test_starttls_and_auth_with_somebody_elses_server(strict):
    outcome = opened(f"smtp+starttls://ana:secret@127.0.0.1:{strict.port}?verify=no", Timeouts())
    assert isinstance(outcome, Accepted)
    assert strict.handler.kept == [([ANA], MESSAGE, True)]


def test_starttls_checks_the_certificate(strict):
    with pytest.raises(TransportError, match="TLS failed"):
        opened(f"smtp+starttls://ana:secret@127.0.0.1:{strict.port}", Timeouts())


def test_a_wrong_password_is_said_without_being_shown(strict):
    with pytest.raises(TransportError, match="does not accept the user and password") as caught:
        opened(f"smtp+starttls://ana:wrong@127.0.0.1:{strict.port}?verify=no", Timeouts())
    assert "wrong" not in caught.value.message


# -- before the dot ---------------------------------------------------------------


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
def test_a_body_that_may_not_go_any_more_does_not_and_is_never_uncertain(offers):
    class Slow(Inbox):
        def rcpt(self, session, address):
            return smtpd.Answer("250 2.1.5 at last", delay=0.5)

    inbox = Slow(offers)
    asked = []

    async def go(port):
        channel = await Channel.open(Relay.parse(f"smtp://127.0.0.1:{port}"))
        began = time.monotonic()

        def may_go():
            asked.append(time.monotonic() - began)
            return False

        outcome = await channel.deliver(ME, ANA, MESSAGE, may_go=may_go)
        await channel.close()
        return outcome

    with smtpd.Server(inbox) as server:
        outcome = uvloop.run(go(server.port))
    assert outcome == Deferred(None, Reply(0, "somebody else may have the delivery by now: the body was kept back"))
    assert not inbox.received
    (waited,) = asked
    assert waited < 0.4 if offers is None else waited > 0.4, "asked right before the body, not at the beginning"
