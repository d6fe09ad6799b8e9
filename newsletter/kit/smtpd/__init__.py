"""A small, fast server that receives mail over SMTP or LMTP and asks a handler what to reply.

Promise: each reply goes to the command it belongs to, in order, however the
client pipelines; a body ends only at CRLF "." CRLF or at the counted octet
(BDAT), so that nothing can be smuggled past it (T7); a handler that raises makes
a 451, never a lost message. It stores nothing, sends nothing, and knows no
mailbox. It offers neither AUTH nor STARTTLS: put it on loopback or on a private
network, or give ``tls`` for implicit TLS.

The interface, which the local inbox, the bounce intake, the benchmark and the
tests build on::

    class Inbox(smtpd.Handler):
        def rcpt(self, session, address):                # reply to one RCPT
            return "250 2.1.5 Ok" if known(address) else "550 5.1.1 No such user"

        def data(self, session, envelope, message):      # the whole message, dots unstuffed
            keep(envelope.mail_from, envelope.rcpt_to, message)
            return "250 2.0.0 Ok"                        # LMTP: or a list, one reply per recipient

    with smtpd.Server(Inbox(), host="127.0.0.1", port=0) as server:   # in a thread of its own
        print(server.port)
    server = await smtpd.serve(Inbox(), host="127.0.0.1", port=25)    # on a running loop: asyncio.Server

Handler methods run on the server's loop and must not block; ``data`` may be a
coroutine (hand slow work to ``asyncio.to_thread``). Each returns a reply line
without CRLF, or an ``Answer``, which can come late, cut the connection or be
nonsense, for tests and demonstrations. The mail is RFC 5321, LMTP RFC 2033; the
extensions PIPELINING 2920, CHUNKING 3030, 8BITMIME 6152, SMTPUTF8 6531, SIZE
1870, ENHANCEDSTATUSCODES 2034.
"""

from newsletter.kit.smtpd.handler import Answer, Envelope, Handler, Limits, Replies, Reply, Session
from newsletter.kit.smtpd.server import Server, serve

__all__ = ["Answer", "Envelope", "Handler", "Limits", "Replies", "Reply", "Server", "Session", "serve"]
