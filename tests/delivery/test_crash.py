import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories.delivery import Inbox, begun, rows, status, with_relay
from sqlalchemy import update

from newsletter import delivery
from newsletter.db import later
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.kit import smtpd

SENDING_PROCESS = Path(__file__).with_name("sending_process.py")
CONNECTIONS = 4
READERS = 1200


def sending(settings):
    given = {"data_dir": str(settings.data_dir), "database_url": settings.database_url, "base_url": settings.base_url}
    given |= {"secret_key": settings.secret_key, "smtp_url": " ".join(settings.smtp_url)}
    return subprocess.Popen([sys.executable, SENDING_PROCESS, json.dumps(given)])


def leases_run_out(database):
    with database.transaction() as session:
        session.execute(
            update(Delivery).where(Delivery.lease_until.is_not(None)).values(lease_until=later(-1)),
            execution_options={"synchronize_session": False},
        )


@pytest.mark.parametrize("offers", [None, ("PIPELINING",)], ids=["one write", "pipelined"])
def test_kill_9_in_mid_send_loses_nobody_and_doubles_nobody(database, settings, offers):
    inbox = Inbox(offers)
    kills = 3
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server, options=f"connections={CONNECTIONS}")
        send_id = begun(database, relayed, READERS)
        for _ in range(kills):
            already = sum(inbox.received.values())
            process = sending(relayed)
            inbox.wait_for(already + random.randint(1, 250))
            process.send_signal(signal.SIGKILL)
            process.wait()
            leases_run_out(database)
            delivery.recover(database)
            found = status(database, send_id)
            assert found.claimed == found.sending == 0
        delivery.run(database, relayed)
    found = status(database, send_id)
    assert found.accepted + found.uncertain == READERS
    assert found.uncertain <= 2 * CONNECTIONS * kills
    assert max(inbox.received.values()) == 1
    for address, row in rows(database, send_id).items():
        if row.state is DeliveryState.ACCEPTED:
            assert inbox.accepted[address] == 1
        else:
            assert row.state is DeliveryState.UNCERTAIN
            assert row.reply == "the sending process ended between the first byte and the reply"


def test_a_killed_process_stays_among_the_senders_with_its_last_sign_of_life(database, settings):
    inbox = Inbox()
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server)
        begun(database, relayed, 500)
        process = sending(relayed)
        inbox.wait_for(10)
        process.kill()
        process.wait()
    with database.read() as session:
        (row,) = delivery.senders(session)
    assert row.pid == process.pid
