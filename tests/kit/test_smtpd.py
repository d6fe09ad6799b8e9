import asyncio
import smtplib
import socket
import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.kit import smtpd


class Keeper(smtpd.Handler):
    def __init__(self):
        self.kept = []

    def rcpt(self, session, address):
        return "550 5.1.1 No such user" if address.startswith("nobody") else "250 2.1.5 Ok"

    def data(self, session, envelope, message):
        self.kept.append((envelope.mail_from, tuple(envelope.rcpt_to), message))
        return "250 2.0.0 Ok"


class Client:
    """A socket that writes bytes as they are and reads replies line by line."""

    def __init__(self, server):
        self.socket = socket.create_connection((server.host, server.port), timeout=10)
        self.file = self.socket.makefile("rb")
        assert self.reply()[:1] == "2"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def say(self, data: bytes):
        self.socket.sendall(data)
        return self

    def reply(self) -> str:
        lines = []
        while line := self.file.readline().decode():
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def replies(self, count):
        return [self.reply()[:3] for _ in range(count)]


@pytest.fixture
def keeper():
    return Keeper()


@pytest.fixture
def server(keeper):
    with smtpd.Server(keeper, limits=smtpd.Limits(message_bytes=100_000, recipients=3, errors=4)) as running:
        yield running


def test_the_standard_library_can_send_to_it(server, keeper):
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("a@example.org", ["b@example.org"], "Subject: hello\r\n\r\n.dot\r\n..two\r\nend")
        assert client.has_extn("chunking")
        assert client.has_extn("pipelining")
        assert client.esmtp_features["size"] == "100000"
    assert keeper.kept == [("a@example.org", ("b@example.org",), b"Subject: hello\r\n\r\n.dot\r\n..two\r\nend\r\n")]


def test_a_whole_pipelined_conversation_is_answered_in_order(server, keeper):
    with Client(server) as client:
        client.say(
            b"EHLO x\r\nMAIL FROM:<a@example.org> SIZE=10\r\nRCPT TO:<nobody@example.org>\r\n"
            b"RCPT TO:<b@example.org>\r\n"
            b"BDAT 5\r\nhelloBDAT 6 LAST\r\n worldNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n"
        )
        assert client.replies(10) == ["250", "250", "550", "250", "250", "250", "250", "250", "250", "354"]
        client.say(b".\r\nRSET\r\nVRFY x\r\nQUIT\r\n")
        assert client.replies(4) == ["250", "250", "252", "221"]
        assert client.reply() == ""
    assert keeper.kept == [("a@example.org", ("b@example.org",), b"hello world"), ("", ("c@example.org",), b"")]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"a", b"\x00", b"\r\n.", b"\r\n..\r\n"]), max_size=12).map(
        b"".join
    ),
    st.lists(st.integers(1, 40), max_size=8),
)
def test_the_body_comes_out_as_it_went_in_however_packets_are_cut(body, cuts):
    text = body + b"\r\n"
    stuffed = text.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    stream = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + stuffed + b".\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
    stream += b"BDAT %d LAST\r\n" % len(body) + body + b"NOOP\r\n"
    handler = Keeper()

    async def feed():
        connection = smtpd.connection.Connection(handler, smtpd.Session(1, "", False, "h"), smtpd.Limits(), set())
        connection.transport = Memory()
        position = 0
        for cut in cuts:
            connection.data_received(stream[position : position + cut])
            position += cut
        connection.data_received(stream[position:])
        return b"".join(connection.transport.written).split(b"\r\n")

    replies = asyncio.run(feed())
    assert [line[:3] for line in replies] == [b"250", b"250", b"354", b"250", b"250", b"250", b"250", b"250", b""]
    assert [message for _, _, message in handler.kept] == [text, body]


class Memory:
    """A transport that keeps what is written."""

    def __init__(self):
        self.written = []
        self.write = self.written.append

    def is_closing(self):
        return False


def test_a_body_ends_only_at_crlf_dot_crlf(server, keeper):
    smuggled = b"one\n.\nMAIL FROM:<evil@example.org>\r.\r\n.\rtwo\n.\r\nthree"
    with Client(server) as client:
        client.say(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n" + smuggled + b"\r\n.\r\n")
        assert client.replies(4) == ["250", "250", "354", "250"]
    assert len(keeper.kept) == 1
    assert keeper.kept[0][2] == smuggled.replace(b"\r\n.", b"\r\n") + b"\r\n"


@pytest.mark.parametrize(
    "line", [b"NOOP\n", b"MAIL FROM:<a\rb@c.d>\r\n", b"RCPT TO:<a\0@b.c>\r\n", b"\r\n", b"WHAT\r\n"]
)
def test_a_malformed_command_gets_a_500(server, line):
    with Client(server) as client:
        assert client.say(line).reply()[:3] == "500"
        assert client.say(b"NOOP\r\n").reply()[:3] == "250"


def test_commands_out_of_order_or_without_an_address_are_refused(server):
    with Client(server) as client:
        client.say(b"RCPT TO:<a@b.c>\r\nMAIL a@b.c\r\nMAIL FROM:<a@b.c>\r\nMAIL FROM:<a@b.c>\r\nDATA\r\n")
        assert client.replies(5) == ["503", "501", "250", "503", "503"]
        assert client.say(b"RCPT TO:<>\r\n").reply()[:3] == "421"  # the fourth that makes no sense
        assert client.reply() == ""


def test_limits_of_size_and_recipients_hold(server, keeper):
    with Client(server) as client:
        assert client.say(b"MAIL FROM:<a@b.c> SIZE=100001\r\n").reply()[:3] == "552"
        client.say(b"MAIL FROM:<a@b.c>\r\n" + b"RCPT TO:<d@e.f>\r\n" * 4)
        assert client.replies(5) == ["250", "250", "250", "250", "452"]
        client.say(b"DATA\r\n" + b"x" * 60_000 + b"\r\n" + b"y" * 60_000 + b"\r\n.\r\n")
        assert client.replies(2) == ["354", "552"]
        client.say(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 60000\r\n" + b"x" * 60_000)
        client.say(b"BDAT 60000 LAST\r\n" + b"x" * 60_000)
        assert client.replies(4) == ["250", "250", "250", "552"]
        client.say(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 2 LAST\r\nok")
        assert client.replies(3) == ["250", "250", "250"]
        assert client.say(b"N" * 5000).reply()[:3] == "500"
        assert client.reply() == ""
    assert [message for _, _, message in keeper.kept] == [b"ok"]


def test_bdat_without_a_recipient_is_read_and_refused(server, keeper):
    with Client(server) as client:
        client.say(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<nobody@e.f>\r\nBDAT 4 LAST\r\nQUITNOOP\r\n")
        assert client.replies(4) == ["250", "550", "503", "250"]
        client.say(b"BDAT many LAST\r\n")
        assert client.replies(1) == ["501"]
        assert client.reply() == ""
    assert keeper.kept == []


def test_lmtp_answers_for_every_recipient():
    class Half(Keeper):
        def data(self, session, envelope, message):
            return [f"{'250 2.0.0' if to.startswith('b') else '452 4.2.2'} {to}" for to in envelope.rcpt_to]

    with smtpd.Server(Half(), lmtp=True) as server, Client(server) as client:
        assert client.say(b"EHLO x\r\n").reply()[:3] == "500"
        client.say(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@e.f>\r\nRCPT TO:<c@e.f>\r\nDATA\r\nhi\r\n.\r\nNOOP\r\n")
        assert client.replies(8) == ["250", "250", "250", "250", "354", "250", "452", "250"]


def test_lmtp_multiplies_a_single_reply():
    with smtpd.Server(smtpd.Handler(), lmtp=True) as server, Client(server) as client:
        client.say(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@e.f>\r\nRCPT TO:<c@e.f>\r\nBDAT 2 LAST\r\nhi")
        assert client.replies(6) == ["250"] * 6


def test_a_coroutine_may_answer_and_pipelined_commands_wait_for_it():
    class Slow(Keeper):
        async def data(self, session, envelope, message):
            await asyncio.sleep(0.05)
            return f"250 2.0.0 {message.decode()}"

    with smtpd.Server(Slow()) as server, Client(server) as client:
        transaction = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<b@e.f>\r\nBDAT 2 LAST\r\n"
        client.say(transaction + b"hi" + transaction + b"ho" + b"NOOP\r\n")
        assert [client.reply() for _ in range(7)][2::3] == ["250 2.0.0 hi", "250 2.0.0 ho"]


def test_a_handler_that_raises_asks_the_client_to_try_again(caplog):
    class Broken(smtpd.Handler):
        def data(self, session, envelope, message):
            raise RuntimeError("disk full")

    class BrokenLater(smtpd.Handler):
        async def data(self, session, envelope, message):
            raise RuntimeError("disk full")

    for handler in (Broken(), BrokenLater()):
        with smtpd.Server(handler) as server, Client(server) as client:
            client.say(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<b@e.f>\r\nBDAT 2 LAST\r\nhi")
            assert client.replies(3) == ["250", "250", "451"]
    assert caplog.text.count("the handler failed") == 2


def test_an_answer_can_come_late_in_pieces_or_with_a_hang_up():
    class Faulty(smtpd.Handler):
        def mail(self, session, address):
            return smtpd.Answer("250 2.1.0 late", delay=0.05)

        def rcpt(self, session, address):
            return smtpd.Answer("250 x", raw=(b"25", b"0 2.1.5 in pie", b"ces\r\n"))

        def data(self, session, envelope, message):
            return smtpd.Answer("250 2.0.0 then gone", drop=True)

    with smtpd.Server(Faulty()) as server, Client(server) as client:
        client.say(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<b@e.f>\r\nDATA\r\nhi\r\n.\r\nNOOP\r\n")
        expected = [
            "250 2.1.0 late",
            "250 2.1.5 in pieces",
            "354 End data with <CR><LF>.<CR><LF>",
            "250 2.0.0 then gone",
            "",
        ]
        assert [client.reply() for _ in range(5)] == expected


def test_an_idle_client_is_told_and_dropped():
    with smtpd.Server(smtpd.Handler(), limits=smtpd.Limits(idle_seconds=0.05)) as server, Client(server) as client:
        assert client.reply()[:3] == "421"
        assert client.reply() == ""


def test_a_refused_port_is_an_oserror_and_leaves_no_thread():
    with (
        smtpd.Server(smtpd.Handler()) as server,
        pytest.raises(OSError, match="address"),
        smtpd.Server(smtpd.Handler(), port=server.port),
    ):
        pass


def test_implicit_tls(tmp_path):
    from factories.certificates import self_signed

    certificate, key = self_signed(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with smtpd.Server(Keeper(), tls=context) as server:
        trusting = ssl.create_default_context(cafile=certificate)
        with smtplib.SMTP_SSL("localhost", server.port, context=trusting) as client:
            assert client.noop()[0] == 250
