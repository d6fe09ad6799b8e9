import io

import pytest
from factories.audience import subscriber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from newsletter import audience
from newsletter.audience import BadRow, Reader, SubscriptionStatus, SuppressionReason, import_csv
from newsletter.audience.importing import MAX_BAD, WINDOW
from newsletter.audience.models import Consent, Subscriber, Subscription
from newsletter.errors import Invalid, NotFound

STATUS = SubscriptionStatus


@pytest.fixture
def bring(database, secret, weekly):
    """Import text; confirmed unless the test says otherwise."""

    def call(data, **options):
        options = {"publication_id": weekly, "confirmed": True, "consent_source": "old system", **options}
        raw = data.encode() if isinstance(data, str) else data
        return import_csv(database, secret, io.BytesIO(raw), **options)

    return call


def _people(database, publication_id):
    with database.read() as session:
        rows = session.execute(
            select(Subscriber.email, Subscription.status)
            .join(Subscription, Subscription.subscriber_id == Subscriber.id)
            .where(Subscription.publication_id == publication_id)
            .order_by(Subscriber.id)
        )
        return [(email, status.value) for email, status in rows]


def _show(database, email):
    with database.read() as session:
        return audience.show(session, email)


def _sum(report):
    return sum((report.added, report.updated, report.unchanged, report.kept_out, report.repeated, report.bad_count))


def test_readers_come_in_with_names_attributes_and_proof(bring, database, weekly):
    report = bring("Email,First Name,last_name,Favourite City\nAna@Example.org,Ana,Lind,Ghent\nben@example.org,,,\n")
    assert (report.rows, report.added, report.pending, report.bad) == (2, 2, 0, ())
    ana = _show(database, "ana@example.org")
    assert (ana.email, ana.first_name, ana.last_name) == ("Ana@example.org", "Ana", "Lind")
    assert ana.attributes == {"favourite_city": "Ghent"}
    (membership,) = ana.memberships
    assert (membership.status, membership.source) == (STATUS.ACTIVE, "import")
    assert [(row.before, row.after, row.evidence) for row in membership.history] == [
        (None, STATUS.ACTIVE, "Imported: old system")
    ]
    assert [(row.kind.value, row.source) for row in ana.consents] == [("imported", "old system")]
    with database.read() as session:
        addresses = [row.address for row in session.execute(audience.eligible(weekly))]
    assert addresses == ["Ana@example.org", "ben@example.org"]


@pytest.mark.parametrize(
    "header",
    ["email", "Email", "EMAIL", "e-mail", "E-Mail Address", "email_address", "Email Address", " mail ", '"Email"'],
)
def test_the_address_column_is_found_under_its_usual_names(bring, database, weekly, header):
    assert bring(f"{header}\na@example.org\n").added == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_files_of_every_program_come_out_the_same(bring, database, encoding, delimiter):
    text = "email,first_name,city\r\na@example.org,Zoë,Köln\r\n".replace(",", delimiter)
    assert bring(text.encode(encoding)).added == 1
    person = _show(database, "a@example.org")
    assert (person.first_name, person.attributes) == ("Zoë", {"city": "Köln"})


def test_a_bad_row_is_named_and_stops_nothing(bring, database, weekly):
    report = bring(
        "email,first_name\n"
        "a@example.org,Ana\n"
        "nobody,Ben\n"
        "c@example.org,Cle\0o\n"
        f"d@example.org,{'x' * 121}\n"
        "e@example.org,Eva,too,many\n"
        'f@example.org,"open\n'
        "g@example.org,,,\n"
        ",Hans\n"
        "i@example.org\n"
    )
    assert [email for email, _ in _people(database, weekly)] == ["a@example.org", "g@example.org", "i@example.org"]
    assert [row.number for row in report.bad] == [3, 4, 5, 6, 7, 9]
    assert [row.reason for row in report.bad[1:5]] == [
        "first_name contains a character that is no text.",
        "first_name is longer than 120 characters.",
        "There are 4 cells; the first row names 2.",
        "A quotation mark is not closed.",
    ]
    assert "nobody" in report.bad[0].reason
    assert (report.rows, report.bad_count) == (9, 6)


def test_bad_rows_are_all_counted_and_a_thousand_told(bring):
    report = bring("email\n" + "x\n" * (MAX_BAD + 5) + "a@example.org\n")
    assert (report.bad_count, len(report.bad), report.added) == (MAX_BAD + 5, MAX_BAD, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("name,city\nAna,Ghent\n", "one of them must be “email”"),
        ("ana@example.org\nben@example.org\n", "first row must name"),
        ("email,E-Mail\na@example.org,b@example.org\n", "both “email”"),
        ("email,City,city\na@example.org,x,y\n", "both “city”"),
        ("email" + ",x" * 300 + "\n", "301 columns"),
        (b"PK\x03\x04\x14\x00xl/workbook.xml\n\xff", "Excel"),
        ("e" * 70_000 + "\na@example.org\n", "first row"),
    ],
)
def test_a_file_without_a_usable_header_is_refused_whole(bring, database, weekly, data, message):
    with pytest.raises(Invalid, match=message):
        bring(data)
    assert _people(database, weekly) == []


def test_a_column_without_a_name_is_left_out(bring, database):
    bring("email,,city,\na@example.org,x,Ghent,y\n")
    assert _show(database, "a@example.org").attributes == {"city": "Ghent"}


def test_importing_again_changes_nothing(bring, database, weekly):
    data = "email,first_name,city\na@example.org,Ana,Zürich\nb@example.org,Ben,\n"
    bring(data)
    with database.read() as session:
        before = [session.scalar(select(func.count()).select_from(table)) for table in (Subscriber, Consent)]
    report = bring(data)
    assert (report.rows, report.unchanged) == (2, 2)
    with database.read() as session:
        assert before == [session.scalar(select(func.count()).select_from(table)) for table in (Subscriber, Consent)]


def test_new_facts_are_added_and_empty_cells_erase_nothing(bring, database):
    bring("email,first_name,last_name,city,plan\na@example.org,Ana,Lind,Ghent,free\n")
    report = bring("email,first_name,last_name,city,team\na@example.org,,Berg,,Ajax\n")
    assert (report.updated, report.added) == (1, 0)
    person = _show(database, "a@example.org")
    assert (person.first_name, person.last_name) == ("Ana", "Berg")
    assert person.attributes == {"city": "Ghent", "plan": "free", "team": "Ajax"}


def test_a_reader_of_another_publication_is_added_to_this_one(bring, database, weekly, daily):
    bring("email,first_name\na@example.org,Ana\n", publication_id=daily)
    assert bring("email\na@example.org\n").added == 1
    assert _people(database, weekly) == [("a@example.org", "active")]
    assert len(_show(database, "a@example.org").memberships) == 2


@pytest.fixture
def stopped(database, secret, weekly):
    """Five people who must not come back: by each way of stopping, and one erased."""
    with database.transaction() as session:
        people = {
            name: subscriber(session, secret, f"{name}@example.org", weekly).id
            for name in ("left", "bounced", "complained", "erased")
        }
        audience.leave(session, Reader(weekly, people["left"]), via="page")
        audience.mark_bounced(session, people["bounced"], evidence="550")
        audience.mark_complained(session, people["complained"], evidence="Reported as spam.")
        audience.erase(session, secret, "erased@example.org")
        audience.suppress(session, secret, address="manual@example.org", reason=SuppressionReason.MANUAL)
    return ["left", "bounced", "complained", "erased", "manual"]


@pytest.mark.parametrize("confirmed", [True, False])
def test_nobody_who_left_or_is_suppressed_comes_back(bring, database, weekly, stopped, confirmed):
    before = _people(database, weekly)
    data = "email,first_name\n" + "".join(f"{name.upper()}@Example.org,Zed\n" for name in stopped)
    report = bring(data, confirmed=confirmed)
    assert (report.kept_out, report.added, report.updated) == (5, 0, 0)
    assert _people(database, weekly) == before
    assert _show(database, "left@example.org").first_name == ""
    with database.read() as session:
        assert session.execute(audience.eligible(weekly)).all() == []


def test_who_left_one_publication_may_be_imported_into_another(bring, daily, stopped):
    report = bring("email\nleft@example.org\nmanual@example.org\n", publication_id=daily)
    assert (report.added, report.kept_out) == (1, 1)


def test_without_confirmation_readers_wait_and_are_not_mailed(bring, database, weekly):
    report = bring("email\na@example.org\n", confirmed=False, consent_source="")
    assert (report.added, report.pending) == (1, 1)
    assert _people(database, weekly) == [("a@example.org", "pending")]
    with database.read() as session:
        assert session.execute(audience.eligible(weekly)).all() == []
        assert session.scalars(select(Consent)).all() == []
    report = bring("email\na@example.org\n")
    assert (report.updated, report.added) == (1, 0)
    assert _people(database, weekly) == [("a@example.org", "active")]
    assert [row.after for row in _show(database, "a@example.org").memberships[0].history] == [
        STATUS.PENDING,
        STATUS.ACTIVE,
    ]


def test_confirmed_needs_a_source_of_consent(bring, database, weekly):
    for source in ("", "   "):
        with pytest.raises(Invalid, match="where these readers gave their consent"):
            bring("email\na@example.org\n", consent_source=source)
    assert _people(database, weekly) == []


def test_other_programs_formats_are_told_as_not_yet_known(bring):
    with pytest.raises(Invalid, match="mailchimp"):
        bring("email\n", file_format="mailchimp")


def test_an_unknown_publication_is_told(bring):
    with pytest.raises(NotFound):
        bring("email\na@example.org\n", publication_id=999)


def test_an_address_that_is_repeated_in_the_file_counts_once(bring, database, weekly):
    report = bring("email,first_name\na@example.org,First\nA@example.org,Second\n")
    assert (report.rows, report.added, report.repeated) == (2, 1, 1)
    assert _show(database, "a@example.org").first_name == "First"


def test_of_two_rows_the_one_that_stops_the_mail_wins(bring, database, weekly):
    bring("email,subscription_status\na@example.org,active\na@example.org,unsubscribed\n")
    assert _people(database, weekly) == [("a@example.org", "unsubscribed")]


def test_a_stated_status_is_kept(bring, database, weekly):
    report = bring(
        "email,subscription_status,subscribed_at\n"
        "a@example.org,active,2024-03-01T10:00:00+00:00\n"
        "b@example.org,unsubscribed,\n"
        "c@example.org,gold member,\n"
        "d@example.org,,yesterday\n"
    )
    assert [row.number for row in report.bad] == [4, 5]
    assert _people(database, weekly) == [("a@example.org", "active"), ("b@example.org", "unsubscribed")]
    assert _show(database, "a@example.org").memberships[0].created_at.isoformat() == "2024-03-01T10:00:00+00:00"
    assert bring("email\nb@example.org\n").kept_out == 1


def test_a_dry_run_tells_everything_and_writes_nothing(bring, database, weekly, stopped):
    data = "email,first_name\nnew@example.org,Ana\nleft@example.org,\nnew@example.org,\nbad\n"
    before = _people(database, weekly)
    dry = bring(data, dry_run=True)
    assert _people(database, weekly) == before
    wet = bring(data)
    assert dry.dry_run
    assert not wet.dry_run
    assert {**dry.as_json(), "dry_run": False} == wet.as_json()
    assert (wet.rows, wet.added, wet.kept_out, wet.repeated, wet.bad) == (4, 1, 1, 1, (BadRow(5, wet.bad[0].reason),))


def test_progress_goes_from_reading_to_writing_up_to_the_total(bring):
    told = []
    rows = 2 * WINDOW + 10
    data = "email\n" + "".join(f"r{n}@example.org\n" for n in range(rows))
    bring(data, progress=lambda done, total: told.append((done, total)))
    assert told == [
        (WINDOW, None),
        (2 * WINDOW, None),
        (WINDOW, rows),
        (2 * WINDOW, rows),
        (rows, rows),
    ]


def test_an_import_that_was_cut_short_is_finished_by_another(bring, database, weekly):
    data = "email\n" + "".join(f"r{n}@example.org\n" for n in range(WINDOW + 10))

    def pull_the_plug(_done, total):
        if total is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(data, progress=pull_the_plug)
    assert len(_people(database, weekly)) == WINDOW
    report = bring(data)
    assert (report.unchanged, report.added) == (WINDOW, 10)


def test_statements_grow_with_windows_and_not_with_rows(bring, database):
    from sqlalchemy.engine import Engine

    statements = []

    def count(_connection, _cursor, statement, *_):
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        bring("email\n" + "".join(f"r{n}@example.org\n" for n in range(5_000)))
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert len(statements) < 40


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
LINES = st.one_of(
    st.binary(max_size=60),
    st.integers(0, 5).map(lambda n: f"r{n}@example.org,Reader".encode()),
    st.lists(CELLS, max_size=4).map(lambda cells: ",".join(cells).encode()),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=12))
def test_any_file_is_accounted_for_row_by_row(bring, lines):
    report = bring(b"email,first_name\n" + b"\n".join(lines))
    assert report.rows == _sum(report)
    assert all(row.reason.isprintable() for row in report.bad)
