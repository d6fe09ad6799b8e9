"""A name server on the loopback that knows mail exchangers and can be silent."""

from __future__ import annotations

import socketserver
import threading
from collections import Counter
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset


class NameServer:
    """``exchangers`` maps a domain to its MX records, such as ``["10 mx.example.net."]``; ``silent`` get no answer.

    A domain that is in neither does not exist.
    """

    def __init__(self) -> None:
        self.exchangers: dict[str, list[str]] = {}
        self.silent: set[str] = set()
        self.asked: Counter[str] = Counter()

    def __enter__(self) -> Self:
        names = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, socket = self.request
                if (answer := names._answer(data)) is not None:
                    socket.sendto(answer, self.client_address)

        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def resolver(self) -> dns.resolver.Resolver:
        """A resolver that asks here and nowhere else."""
        made = dns.resolver.Resolver(configure=False)
        made.nameservers, made.port = ["127.0.0.1"], self._server.server_address[1]
        return made

    def _answer(self, data: bytes) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        domain = question.name.to_text(omit_final_dot=True)
        self.asked[domain] += 1
        if domain in self.silent:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if domain in self.exchangers:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "MX", *self.exchangers[domain]))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()
