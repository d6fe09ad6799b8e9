"""F9: the network between a worker and its database, and between a worker and its relay."""

import time

import pytest
from crash.links import proxied_database
from crash.proxy import Proxy
from crash.trial import through
from fixtures.databases import CHOICE

READERS = 300
HASTY = {"command": 1, "body": 1, "data": 1, "greeting": 1, "connect": 1}
TROUBLE = {
    "resets": lambda proxy: proxy.reset(),
    "resets and takes no new connection": lambda proxy: (proxy.refuse(), proxy.reset()),
    "is half open": lambda proxy: proxy.stall(),
    "is half open and then resets": lambda proxy: (proxy.stall(), time.sleep(0.5), proxy.reset()),
    "is late": lambda proxy: proxy.delay(0.2),
    "is slow": lambda proxy: proxy.slow(20_000),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_link_to_the_relay_that_breaks_loses_and_doubles_nobody(trial, relay, server, trouble):
    relay.pace = 0.01
    send = trial(READERS)
    with Proxy(("127.0.0.1", server.port)) as proxy:
        direct, send.settings = send.settings, through(send.settings, proxy.port)
        process = send.start(loop=True, timeouts=HASTY, patience={"lost": 0.1})
        relay.wait_for(100)
        TROUBLE[trouble](proxy)
        time.sleep(2)
        proxy.let_pass()
        relay.wait_for(READERS - 5 * send.connections)
        send.terminate(process)
        send.cuts = proxy.connections  # each has at most one message on the wire
    send.settings = direct
    found = send.settled()
    assert found.accepted + found.uncertain == READERS


def test_a_link_to_the_relay_that_only_breaks_new_connections_disturbs_nothing(trial, relay, server):
    relay.pace = 0.01
    send = trial(READERS)
    with Proxy(("127.0.0.1", server.port)) as proxy:
        direct, send.settings = send.settings, through(send.settings, proxy.port)
        process = send.start(loop=True)
        relay.wait_for(20)
        proxy.refuse()
        relay.wait_for(READERS)
        send.terminate(process)
    send.settings = direct
    assert send.settled().accepted == READERS


if CHOICE != "sqlite":

    @pytest.mark.parametrize("trouble", TROUBLE)
    def test_a_link_to_the_database_that_breaks_loses_and_doubles_nobody(trial, relay, trouble):
        relay.pace = 0.01
        send = trial(READERS)
        with proxied_database(send.settings.database_url) as (proxy, url):
            process = send.start(settings=send.settings.model_copy(update={"database_url": url}), loop=True)
            relay.wait_for(100)
            TROUBLE[trouble](proxy)
            time.sleep(2)
            proxy.let_pass()
            relay.wait_for(READERS - 5 * send.connections)
            send.terminate(process)
        found = send.settled()
        assert found.accepted == READERS, "what the relay answered was kept until it could be written"
