import pytest
from factories.delivery import Inbox

from newsletter.delivery.transports.smtp import Relay, Reply, Timeouts, send_one
from newsletter.errors import Invalid, TransportError
from newsletter.kit import smtpd

ANA = "ana@example.org"
QUICK = Timeouts(connect=5, greeting=0.3, command=0.3, data=0.3, body=0.3)


def relay(server):
    return Relay.parse(f"smtp://127.0.0.1:{server.port}")


def send(relays, *, to=ANA, message=b"Subject: hello\n\nbody"):
    return send_one(relays, mail_from="desk@example.org", rcpt_to=to, message=message, timeouts=QUICK)


def test_one_message_is_handed_over_with_its_line_ends_made_right():
    inbox = Inbox()
    with smtpd.Server(inbox) as server:
        assert send([relay(server)], message=b"Subject: a\n\none\r\ntwo\rthree") == Reply(250, "2.0.0 Ok: queued as X1")
    assert inbox.kept == [("desk@example.org", ANA, b"Subject: a\r\n\r\none\r\ntwo\r\nthree\r\n")]


def test_a_refusal_is_returned_and_not_tried_elsewhere():
    first, second = Inbox(), Inbox()
    first.at_rcpt[ANA] = "550 5.1.1 No such user"
    with smtpd.Server(first) as one, smtpd.Server(second) as two:
        assert send([relay(one), relay(two)]) == Reply(550, "5.1.1 No such user")
    assert not second.received


def test_the_next_relay_is_asked_when_one_is_down_or_says_later():
    down, busy, open_ = Inbox(), Inbox(), Inbox()
    busy.at_rcpt[ANA] = "451 4.3.2 Later"
    with smtpd.Server(down) as gone:
        pass
    with smtpd.Server(busy) as two, smtpd.Server(open_) as three:
        assert send([relay(gone), relay(two), relay(three)]).code == 250
        assert open_.accepted == {ANA: 1}
        assert send([relay(gone), relay(two)]) == Reply(451, "4.3.2 Later")


def test_a_lost_reply_is_an_error_and_never_tried_elsewhere():
    first, second = Inbox(), Inbox()
    first.at_data[ANA] = smtpd.Answer(drop=True)
    with (
        smtpd.Server(first) as one,
        smtpd.Server(second) as two,
        pytest.raises(TransportError, match="may have taken the message"),
    ):
        send([relay(one), relay(two)])
    assert not second.received


def test_without_a_relay_or_with_none_that_answers_it_is_a_transport_error():
    with pytest.raises(TransportError, match="no mail relay"):
        send([])
    with smtpd.Server(Inbox()) as server:
        pass
    with pytest.raises(TransportError, match="cannot be reached"):
        send([relay(server)])


def test_an_address_that_would_say_more_is_invalid():
    with pytest.raises(Invalid):
        send([], to="ana@example.org\r\nDATA")
