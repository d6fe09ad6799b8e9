"""Sockets that open to public addresses only, and only until a deadline.

Promise: every connection of a ``GuardedNetwork`` goes to an address that was
resolved and checked by the call that opens it, so that neither a name that
points inside the network, nor one that changes its mind between the check and
the connection (DNS rebinding), nor a redirect can reach a private service
(threat T19). Nothing on such a connection, looking the name up included, lasts
past the deadline, however slowly the other side drips. It knows no HTTP.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import httpcore2

from newsletter.errors import FetchError, UnsafeAddress

CONNECT_SECONDS: Final = 10.0

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_RESERVED: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # shared by carriers (RFC 6598); the metadata service of Alibaba Cloud
        "168.63.129.16/32",  # Azure's own services, seen from inside only
        "192.0.0.0/24",  # protocol assignments (RFC 6890); the metadata service of Oracle Cloud
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "64:ff9b:1::/48",  # local NAT64 (RFC 8215)
        "fec0::/10",  # site-local (RFC 3879)
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
    )
)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: IpAddress) -> bool:
    """Whether ``address`` is one of the open internet; an IPv4 address inside an IPv6 one decides for it."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not any(address in network for network in _RESERVED if network.version == address.version)


def is_allowed(host: str, address: IpAddress, allow: tuple[str, ...]) -> bool:
    """Whether a setting names this host, this address, or a network that it is in."""
    for entry in allow:
        if entry.lower().rstrip(".") == host.lower().rstrip("."):
            return True
        try:
            if address in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:  # the entry is a host name
            continue
    return False


class GuardedNetwork(httpcore2.NetworkBackend):
    """Opens checked connections for one fetch, which must be over ``seconds`` from now."""

    def __init__(self, allow: tuple[str, ...], seconds: float) -> None:
        self._allow = allow
        self._deadline = time.monotonic() + seconds
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline decides
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Look ``host`` up, leave out what is not public, and connect to the first address that answers."""
        failure: Exception = httpcore2.ConnectError("no address")
        for address in self._checked(host, port):
            try:
                seconds = min(CONNECT_SECONDS, _left(self._deadline, httpcore2.ConnectTimeout))
                opened = self._sockets.connect_tcp(str(address), port, seconds, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(opened, self._deadline)
        raise failure

    def _checked(self, host: str, port: int) -> list[IpAddress]:
        found = _look_up(host, port, min(CONNECT_SECONDS, _left(self._deadline, httpcore2.ConnectTimeout)))
        open_to_us = [address for address in found if is_public(address) or is_allowed(host, address, self._allow)]
        if not open_to_us:
            raise UnsafeAddress(
                f"{host} is at {found[0]}, inside a private network, and is not fetched; if that is meant, "
                f"add {host} to NEWSLETTER_FETCH_ALLOW."
            )
        return open_to_us


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose every wait ends at the deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline decides
        return self._stream.read(max_bytes, _left(self._deadline, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the deadline decides
        self._stream.write(buffer, _left(self._deadline, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline decides
    ) -> httpcore2.NetworkStream:
        seconds = min(CONNECT_SECONDS, _left(self._deadline, httpcore2.ConnectTimeout))
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the library's signature
        return self._stream.get_extra_info(info)


def _left(deadline: float, late: type[Exception]) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise late("the deadline has passed")
    return seconds


def _look_up(host: str, port: int, seconds: float) -> list[IpAddress]:
    """Ask the system's resolver, in a thread of its own since it cannot be told to hurry."""
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put([str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise FetchError(f"Looking up the name {host} took more than {seconds:.0f} seconds.") from None
    if isinstance(answer, Exception) or not answer:
        raise FetchError(f"The name {host} was not found; check the spelling of the address.")
    return [ipaddress.ip_address(address.partition("%")[0]) for address in dict.fromkeys(answer)]
