"""F13: a backup that is put back in mid-send, with the workers' own processes."""

from crash.trial import EAGER
from factories.delivery import status

from newsletter import delivery

READERS = 300


def test_after_a_backup_was_put_back_nothing_is_sent_until_a_person_says_so(trial, relay, databases, database):
    relay.pace = 0.01
    send = trial(READERS)
    first = send.start(loop=True)
    relay.wait_for(60)
    send.terminate(first)
    database.dispose()
    backup = databases.copy(database.url)
    second = send.start(loop=True)
    relay.wait_for(150)
    send.kill(second)
    came = len(relay.record)
    database.dispose()
    databases.put_back(backup, database.url)
    databases.drop(backup)
    assert status(database, send.send_id).accepted < came, "the ledger does not know who was served"
    for _ in range(2):
        assert send.start().wait(60) == 0
    found = status(database, send.send_id)
    assert found.state is delivery.SendState.PAUSED
    assert "a backup seems to have been restored" in found.problem
    assert len(relay.record) == came
    with database.transaction() as session:
        delivery.resume(session, send.send_id)
    delivery.run(database, send.settings, options=EAGER)
    assert set(relay.served) == {f"reader{n}@example.org" for n in range(1, READERS + 1)}, "nobody was lost"
