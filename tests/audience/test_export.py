import csv
import io

import pytest
from factories.audience import many, subscriber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from newsletter import audience
from newsletter.audience import Reader, SubscriptionStatus, import_csv
from newsletter.audience.models import Subscriber, Subscription

STATUS = SubscriptionStatus


def _file(database, publication_id, **options) -> str:
    with database.read() as session:
        return "".join(audience.export_csv(session, publication_id, **options))


def _store(database, publication_id):
    with database.read() as session:
        return {
            row.email: (row.first_name, row.last_name, row.status, row.joined_at, row.attributes)
            for row in audience.export(session, publication_id)
        }


@pytest.fixture
def readers(database, secret, weekly, daily):
    with database.transaction() as session:
        subscriber(session, secret, "Ana@example.org", weekly, first_name="Ana, Maria", attributes={"city": "Zürich"})
        subscriber(
            session, secret, "ben@example.org", weekly, STATUS.PENDING, last_name='"B"', attributes={"plan": "x"}
        )
        left = subscriber(session, secret, "left@example.org", weekly)
        subscriber(session, secret, "other@example.org", daily, attributes={"secret": "of another publication"})
        audience.leave(session, Reader(weekly, left.id), via="page")


def test_a_file_holds_one_publications_readers_under_a_header(database, weekly, readers):
    rows = list(csv.DictReader(io.StringIO(_file(database, weekly))))
    assert [row["email"] for row in rows] == ["Ana@example.org", "ben@example.org", "left@example.org"]
    assert list(rows[0]) == [
        "email",
        "first_name",
        "last_name",
        "subscription_status",
        "subscribed_at",
        "city",
        "plan",
    ]
    assert [row["subscription_status"] for row in rows] == ["active", "pending", "unsubscribed"]
    assert (rows[0]["first_name"], rows[0]["city"], rows[1]["last_name"]) == ("Ana, Maria", "Zürich", '"B"')


def test_an_export_can_be_narrowed_to_a_status(database, weekly, readers):
    rows = list(csv.DictReader(io.StringIO(_file(database, weekly, status=STATUS.PENDING))))
    assert [(row["email"], row["plan"]) for row in rows] == [("ben@example.org", "x")]


def test_an_empty_publication_is_a_header(database, weekly):
    assert _file(database, weekly) == "email,first_name,last_name,subscription_status,subscribed_at\r\n"


def test_no_cell_is_a_formula(database, secret, weekly):
    evil = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "'=1"]
    with database.transaction() as session:
        for number, name in enumerate(evil):
            subscriber(session, secret, f"=r{number}@example.org", weekly, first_name=name, attributes={"note": name})
    cells = [cell for row in csv.reader(io.StringIO(_file(database, weekly))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_rows_are_streamed(database, weekly):
    many(database, 5_000, weekly)
    with database.read() as session:
        lines = audience.export_csv(session, weekly)
        assert next(lines).startswith("email,")
        assert sum(1 for _ in lines) == 5_000


def test_a_wiped_store_comes_back_from_its_export(database, secret, weekly, readers):
    before = _store(database, weekly)
    text = _file(database, weekly)
    with database.transaction() as session:
        mine = select(Subscription.subscriber_id).where(Subscription.publication_id == weekly)
        session.execute(delete(Subscriber).where(Subscriber.id.in_(mine)))
    assert _store(database, weekly) == {}
    file = io.BytesIO(text.encode())
    report = import_csv(database, secret, file, publication_id=weekly, confirmed=True, consent_source="our own export")
    assert (report.rows, report.added, report.bad) == (3, 3, ())
    assert _store(database, weekly) == before
    assert _file(database, weekly) == text


VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], include_characters="=+-@'\",;"), max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5))
def test_any_name_and_attribute_survives_the_round_trip(database, secret, weekly, people):
    with database.transaction() as session:
        session.execute(delete(Subscriber))
        for number, (name, note) in enumerate(people):
            email, attributes = f"+r{number}@example.org", {"note": note} if note else {}
            subscriber(session, secret, email, weekly, first_name=name, attributes=attributes)
    before, text = _store(database, weekly), _file(database, weekly)
    with database.transaction() as session:
        session.execute(delete(Subscriber))
    file = io.BytesIO(text.encode("utf-16"))
    import_csv(database, secret, file, publication_id=weekly, confirmed=True, consent_source="export")
    assert _store(database, weekly) == before
