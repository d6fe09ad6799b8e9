import ipaddress
import socket
import threading
import time

import httpcore2
import pytest

from newsletter.articles.network import GuardedNetwork, is_allowed, is_public
from newsletter.errors import FetchError, UnsafeAddress

# fmt: off
PRIVATE = (
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200",
    "169.254.169.254", "192.0.0.192", "168.63.129.16", "192.88.99.1", "198.18.0.1", "203.0.113.9", "224.0.0.251",
    "239.255.255.250", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1",
    "ff02::fb", "ff0e::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1", "2001::1", "::127.0.0.1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::",
)
# fmt: on
PUBLIC = ("8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::")


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_inside_a_network_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_open_internet_are_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("allow", "allowed"),
    [
        (("cms.intranet",), True),
        (("CMS.Intranet.",), True),
        (("10.1.2.3",), True),
        (("10.1.0.0/16",), True),
        (("intranet",), False),
        (("10.2.0.0/16", "other.intranet"), False),
        ((), False),
    ],
)
def test_a_setting_allows_a_host_an_address_or_a_network(allow, allowed):
    assert is_allowed("cms.intranet", ipaddress.ip_address("10.1.2.3"), allow) is allowed


@pytest.fixture
def names(monkeypatch):
    """What the resolver answers, name by name; each answer is given once, the last one for ever."""
    real = socket.getaddrinfo
    answers: dict[str, list[list[str]]] = {}

    def answer(host, port, *rest, **more):
        if host not in answers:
            return real(host, port, *rest, **more)
        given = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in given]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return answers


def test_a_name_that_points_inside_is_refused(names):
    names["feeds.example"] = [["127.0.0.1"]]
    with pytest.raises(UnsafeAddress, match=r"feeds.example is at 127.0.0.1, inside a private network"):
        GuardedNetwork((), 5).connect_tcp("feeds.example", 80)


def test_a_name_that_changes_its_mind_after_the_check_is_connected_where_it_was_checked(names, server):
    """DNS rebinding: the second answer must never be asked for."""
    names["feeds.example"] = [["127.0.0.1"], ["127.0.0.99"]]
    stream = GuardedNetwork(("127.0.0.1",), 5).connect_tcp("feeds.example", server.port)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    stream.close()
    assert names["feeds.example"] == [["127.0.0.99"]]
    with pytest.raises(UnsafeAddress):  # the next connection checks again
        GuardedNetwork(("127.0.0.1",), 5).connect_tcp("feeds.example", server.port)


def test_of_several_addresses_only_the_permitted_are_tried(names, server):
    names["feeds.example"] = [["127.0.0.99", "127.0.0.1"]]
    stream = GuardedNetwork(("127.0.0.1",), 5).connect_tcp("feeds.example", server.port)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    stream.close()


def test_when_one_address_does_not_answer_the_next_is_tried(names, server):
    names["feeds.example"] = [["127.0.0.99", "127.0.0.1"]]
    stream = GuardedNetwork(("127.0.0.0/8",), 5).connect_tcp("feeds.example", server.port)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    stream.close()


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "017700000001"])
def test_odd_spellings_of_loopback_are_seen_through(host):
    with pytest.raises(UnsafeAddress):
        GuardedNetwork((), 5).connect_tcp(host, 80)


def test_an_unknown_name_says_so():
    with pytest.raises(FetchError, match=r"The name no-such-host.invalid was not found"):
        GuardedNetwork((), 5).connect_tcp("no-such-host.invalid", 80)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch):
    test_is_over = threading.Event()

    def hang(*_asked, **_more):
        test_is_over.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    with pytest.raises(FetchError, match="Looking up the name"):
        GuardedNetwork((), 0.2).connect_tcp("feeds.example", 80)
    assert time.monotonic() - began < 2
    test_is_over.set()


def test_nothing_is_read_or_written_past_the_deadline(server):
    stream = GuardedNetwork(("127.0.0.1",), 0.3).connect_tcp("127.0.0.1", server.port)
    with pytest.raises(httpcore2.ReadTimeout):
        stream.read(1)  # the server waits for us to speak
    with pytest.raises(httpcore2.WriteTimeout):
        stream.write(b"GET / HTTP/1.1\r\n\r\n")
    stream.close()
