import pytest
from factories.staff import member

from newsletter import staff


def test_the_trail_tells_who_did_what_newest_first(session):
    editor = member(session)
    staff.audit(session, actor=editor, action="approved", subject="issue:12", detail={"version": 4})
    staff.audit(session, actor="command line", action="sent", subject="issue:12")
    staff.audit(session, actor="system", action="collected", subject="source:1")
    rows = staff.audit_trail(session, "issue:12").rows
    assert [(row.actor, row.action) for row in rows] == [("command line", "sent"), (editor.email, "approved")]
    assert rows[1].detail == {"version": 4}
    assert len(staff.audit_trail(session).rows) == 3


def test_the_trail_is_read_in_pages(session):
    for n in range(5):
        staff.audit(session, actor="system", action=f"did {n}", subject="issue:1")
    first = staff.audit_trail(session, limit=2)
    second = staff.audit_trail(session, after=first.next_after, limit=2)
    last = staff.audit_trail(session, after=second.next_after, limit=2)
    assert [row.action for page in (first, second, last) for row in page.rows] == [f"did {n}" for n in (4, 3, 2, 1, 0)]
    assert last.next_after is None


def test_what_was_rolled_back_leaves_no_entry(database):
    with pytest.raises(RuntimeError), database.transaction() as session:
        staff.audit(session, actor="system", action="failed", subject="issue:1")
        session.flush()
        raise RuntimeError
    with database.read() as session:
        assert staff.audit_trail(session).rows == []
