"""publication, staff and subscribers: the commands about people and titles."""

import json

import pytest

from newsletter import staff
from newsletter.db import Database


def _csv(tmp_path, text, name="readers.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.fixture
def readers(run, publication, tmp_path):
    file = _csv(tmp_path, "email,first_name,city\nada@example.org,Ada,London\nbob@example.org,Bob,Paris\n")
    done = run(
        *("subscribers", "import", file, "--publication", publication),
        *("--confirmed", "--consent-source", "paper forms of 2025", "--json"),
    )
    assert done.code == 0, done.err
    return done.json


def test_a_publication_says_where_readers_sign_up(run):
    done = run(
        *("publication", "create", "brief", "--name", "Brief", "--from", "Desk <desk@example.org>"),
        *("--address", "1 Street", "--timezone", "UTC", "--deadline-rule", "skip", "--json"),
    )
    assert done.json["publication"] == "brief"
    assert done.json["deadline_rule"] == "skip"
    assert done.json["page"] == "http://news.example.test/n/brief"


def test_publications_are_listed_for_people_and_for_programs(run, publication):
    (row,) = run("publication", "list", "--json").lines
    assert row["publication"] == publication
    assert row["from"] == "Desk <desk@example.org>"
    assert "Weekly Brief" in run("publication", "list").out


def test_a_taken_slug_is_refused(run, publication):
    done = run(
        *("publication", "create", publication, "--name", "Again", "--from", "desk@example.org"),
        *("--address", "1 Street", "--timezone", "UTC"),
    )
    assert done.code == 1
    assert publication in done.err


def test_a_staff_member_gets_a_link_that_works_once(run, environment):
    done = run("staff", "create", "Ed@Example.org", "--role", "editor", "--json")
    assert done.json["role"] == "editor"
    base, _, key = done.json["link"].rpartition("/")
    assert base == "http://news.example.test/sign-in/link"
    database = Database(environment["NEWSLETTER_DATABASE_URL"])
    with database.transaction() as session:
        assert staff.use_link(session, key).email == "ed@example.org"
    database.dispose()


def test_the_link_alone_is_on_standard_output(run):
    done = run("staff", "create", "ed@example.org", "--role", "admin")
    assert done.out.startswith("http://news.example.test/sign-in/link/")
    assert len(done.out.splitlines()) == 1


def test_somebody_who_is_locked_out_gets_another_link(run):
    first = run("staff", "create", "ed@example.org", "--role", "admin").out
    second = run("staff", "link", "ed@example.org").out
    assert second != first
    assert run("staff", "link", "nobody@example.org").code == 1


def test_staff_are_listed(run):
    run("staff", "create", "ed@example.org", "--role", "writer", "--name", "Ed Itor")
    assert run("staff", "list", "--json").lines == [
        {"email": "ed@example.org", "name": "Ed Itor", "role": "writer", "active": True}
    ]


def test_an_import_accounts_for_every_row(readers):
    assert readers["rows"] == readers["added"] == 2
    assert readers["bad_count"] == 0


def test_bad_rows_are_told_and_stop_nothing(run, publication, tmp_path):
    file = _csv(tmp_path, "email\nada@example.org\nnot an address\nbob@example.org\n")
    done = run("subscribers", "import", file, "--publication", publication)
    assert done.code == 0
    assert "row 3: " in done.err
    assert "added" in done.out


def test_an_import_can_come_from_standard_input(run, publication):
    done = run("subscribers", "import", "-", "--publication", publication, "--json", given="email\nada@example.org\n")
    assert done.json["added"] == 1


def test_a_dry_run_changes_nothing(run, publication):
    command = ("subscribers", "import", "-", "--publication", publication)
    assert run(*command, "--dry-run", "--json", given="email\nada@example.org\n").json["dry_run"] is True
    assert run("subscribers", "list", publication, "--json").out == ""


@pytest.mark.parametrize(
    ("arguments", "given", "reason"),
    [
        (("-", "--publication", "nowhere"), "email\n", "nowhere"),
        (("/no/such/file.csv", "--publication", "weekly-brief"), None, "/no/such/file.csv cannot be read"),
        (("-", "--publication", "weekly-brief"), "", "empty"),
        (("-", "--publication", "weekly-brief"), "name\nAda\n", "email"),
        (("-", "--publication", "weekly-brief", "--confirmed"), "email\na@example.org\n", "consent"),
    ],
)
def test_an_import_that_cannot_be_is_refused_with_the_reason(run, publication, arguments, given, reason):
    done = run("subscribers", "import", *arguments, given=given)
    assert done.code == 1
    assert reason in done.err
    assert "Traceback" not in done.err


def test_an_export_imports_again(run, publication, readers, tmp_path):
    exported = run("subscribers", "export", publication).out
    assert exported.startswith("email,first_name")
    run("subscribers", "erase", "ada@example.org")
    again = run("subscribers", "import", "-", "--publication", publication, "--json", given=exported).json
    assert again["rows"] == 2
    assert again["kept_out"] == 1, "who was erased does not come back"


def test_an_export_as_json_has_the_attributes(run, publication, readers):
    cities = {
        row["email"]: row["attributes"]["city"] for row in run("subscribers", "export", publication, "--json").lines
    }
    assert cities == {"ada@example.org": "London", "bob@example.org": "Paris"}


def test_a_reader_is_shown_with_consent_and_history(run, readers):
    shown = run("subscribers", "show", "ADA@example.org", "--json").json
    assert shown["subscriptions"][0]["status"] == "active"
    assert shown["subscriptions"][0]["publication"] == "weekly-brief"
    assert shown["consents"][0]["source"] == "paper forms of 2025"
    for_people = run("subscribers", "show", "ada@example.org").out
    assert "weekly-brief: active" in for_people


def test_readers_are_listed_page_by_page(run, publication, readers):
    first = run("subscribers", "list", publication, "--limit", "1", "--json")
    assert [row["email"] for row in first.lines] == ["ada@example.org"]
    cursor = first.err.split("--after ")[1].strip()
    rest = run("subscribers", "list", publication, "--after", cursor, "--json")
    assert [row["email"] for row in rest.lines] == ["bob@example.org"]
    assert rest.err == ""


def test_an_erased_reader_is_gone(run, readers):
    assert run("subscribers", "erase", "ada@example.org", "--json").json == {"erased": True}
    assert run("subscribers", "show", "ada@example.org").code == 1
    assert run("subscribers", "erase", "ada@example.org", "--json").json == {"erased": False}


def test_a_suppressed_address_is_not_mailed_until_released(run, publication, readers):
    run("subscribers", "suppress", "bob@example.org", "--reason", "asked by phone")
    shown = run("subscribers", "show", "bob@example.org").out
    assert "suppressed for every publication" in shown
    assert "asked by phone" in shown
    assert run("subscribers", "release", "bob@example.org", "--json").json == {"released": 1}


def test_an_unknown_reader_is_one_line(run, publication):
    done = run("subscribers", "show", "nobody@example.org")
    assert (done.code, done.out) == (1, "")
    assert "nobody@example.org" in done.err


def test_json_is_on_standard_output_alone(run, publication, readers):
    done = run("subscribers", "show", "ada@example.org", "--json")
    json.loads(done.out)
    assert done.err == ""
