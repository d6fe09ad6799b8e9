import pytest
from factories.audience import SECRET, subscriber
from factories.delivery import begun
from sqlalchemy import event, update

from newsletter import audience, delivery
from newsletter.delivery import claim
from newsletter.delivery.frames import running
from newsletter.delivery.models import Recipient, Send
from newsletter.delivery.statements import Claimed


class Desk:
    """Sends and what is loaded of their claims; keeps the statements that were sent meanwhile."""

    def __init__(self, database, settings):
        self.database = database
        self.settings = settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})
        self.statements = []
        event.listen(database.engine, "before_cursor_execute", lambda *given: self.statements.append(given[2]))

    def begun(self, readers, **fields):
        return begun(self.database, self.settings, readers, **fields)

    def load(self, send_id, *claimed):
        with self.database.read() as session:
            (frame,) = running(session, self.settings, set(), send_id)
            self.statements.clear()
            return claim.load(session, frame, claimed)

    def lookups(self):
        return [statement for statement in self.statements if "FROM recipients" in statement]


@pytest.fixture
def desk(database, settings):
    return Desk(database, settings)


def rows(*seqs):
    return [Claimed(seq, 1, 0, 0) for seq in seqs]


def test_a_claimed_row_becomes_a_job_with_its_reader_as_frozen(desk):
    other = desk.begun(3, prefix="other")
    send_id = desk.begun(3)
    with desk.database.transaction() as session:
        values = {"last_name": "Silva", "attributes": {"city": "Porto"}, "tracking": False}
        session.execute(update(Recipient).where(Recipient.send_id == send_id, Recipient.seq == 2).values(**values))
        edition_id = session.get(Send, send_id).edition_id
        row = session.get(Recipient, (send_id, 2))
    loaded = desk.load(send_id, Claimed(2, 5, 3, 4), Claimed(3, 6, 0, 1))
    assert loaded.skipped == []
    first, second = loaded.jobs
    assert (first.ticket.send_id, first.ticket.seq, first.ticket.epoch) == (send_id, 2, 5)
    assert (first.attempt, first.lane, first.edition_id) == (4, 4, edition_id)
    assert (second.ticket.seq, second.ticket.epoch, second.attempt, second.lane) == (3, 6, 1, 1)
    expected = (2, row.subscriber_id, "reader2@example.org", "Reader 2", "Silva", {"city": "Porto"}, False)
    assert tuple(first.reader) == expected
    assert b"To: " in first.frame.personalizers[edition_id].mail(first.reader).message
    assert [job.reader.address for job in desk.load(other, *rows(1, 2)).jobs] == [
        "other1@example.org",
        "other2@example.org",
    ]


@pytest.mark.parametrize("seqs", [(1, 2, 3, 4), (1, 6)])
def test_who_left_or_was_suppressed_since_is_skipped_with_the_reason_and_the_others_are_not(desk, seqs):
    send_id = desk.begun(4, addresses=("ana@example.org", "ben@example.org"))
    with desk.database.transaction() as session:
        publication_id = delivery.status(session, send_id).publication
        audience.suppress(session, SECRET, address="reader1@example.org", reason="manual", evidence="by phone")
        audience.leave(
            session, audience.Reader(publication_id, session.get(Recipient, (send_id, 3)).subscriber_id), via="page"
        )
        subscriber(session, SECRET, "late@example.org", publication_id)
    loaded = desk.load(send_id, *rows(*seqs))
    gone = {1: "suppressed", 3: "unsubscribed"}
    assert [(ticket.send_id, ticket.seq, ticket.epoch, reason) for ticket, reason in loaded.skipped] == [
        (send_id, seq, 1, gone[seq]) for seq in seqs if seq in gone
    ]
    assert [job.ticket.seq for job in loaded.jobs] == [seq for seq in seqs if seq not in gone]


@pytest.mark.parametrize(
    ("seqs", "together"), [((2, 5), True), ((2, 6), False), ((5, 6, 7), True), ((3,), True), ((1, 2, 3, 9), False)]
)
def test_rows_that_lie_together_are_read_as_one_range(desk, seqs, together):
    send_id = desk.begun(9)
    loaded = desk.load(send_id, *rows(*seqs))
    assert [job.ticket.seq for job in loaded.jobs] == list(seqs)
    (lookup,) = desk.lookups()
    assert ("BETWEEN" in lookup) is together


def test_scattered_rows_are_read_piece_by_piece(desk, monkeypatch):
    monkeypatch.setattr(claim, "ASK_AT_ONCE", 2)
    send_id = desk.begun(20)
    loaded = desk.load(send_id, *rows(1, 5, 10, 15, 20))
    assert [job.reader.address for job in loaded.jobs] == [f"reader{n}@example.org" for n in (1, 5, 10, 15, 20)]
    assert len(desk.lookups()) == 3
