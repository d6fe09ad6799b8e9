import pytest
from factories import audience as readers
from factories import issues as made
from factories import publications as titles
from factories.web import html, words

from newsletter import issues, staff


@pytest.fixture
def weekly(database):
    with database.transaction() as session:
        return titles.publication(session, "weekly", name="The Weekly")


def test_an_empty_studio_says_how_to_begin(admin):
    for path in ("/studio", "/studio/newsletters"):
        assert "newsletter publication create" in words(admin.get(path))


def test_issues_are_listed_with_their_states(admin, database, weekly):
    with database.transaction() as session:
        view = made.issue(session, weekly)
        issues.edit(session, view.id, version=view.version, subject="Ships at anchor")
    page = admin.get("/studio")
    assert "Ships at anchor" in words(page)
    assert html(page).css_first(".chip").text() == "draft"
    link = html(page).css_first(".table a").attributes["href"]
    assert admin.get(link).status_code == 200


def test_a_viewer_is_offered_nothing_to_press(viewer, weekly):
    page = html(viewer.get("/studio"))
    assert [form.attributes["action"] for form in page.css("form")] == ["/sign-out"]


def test_long_lists_are_cut_into_pages(admin, database, weekly):
    with database.transaction() as session:
        for _ in range(60):
            view = made.issue(session, weekly, stories=1)
            issues.transition(session, view.id, issues.IssueState.CANCELLED)
    first = admin.get("/studio")
    second = admin.get("/studio" + html(first).css_first('a[rel="next"]').attributes["href"])
    shown = [len(html(page).css("tbody tr")) for page in (first, second)]
    assert shown == [50, 10]


def test_newsletters_are_listed_with_their_readers(admin, database, settings, weekly):
    with database.transaction() as session:
        for name in ("ana", "ben"):
            readers.subscriber(session, settings.secret, f"{name}@reader.example", weekly.id)
    row = html(admin.get("/studio/newsletters")).css_first("tbody tr")
    assert "The Weekly" in row.text()
    assert row.css_first(".num").text() == "2"


def test_the_trail_says_who_did_what_of_everything_or_of_one_thing(editor, database):
    with database.transaction() as session:
        for subject in ("issue:1", "issue:2"):
            staff.audit(session, actor="system", action="approved", subject=subject, detail={"why": "<b>"})
    assert "issue:1" in words(editor.get("/studio/trail"))
    one = words(editor.get("/studio/trail?subject=issue:2"))
    assert "issue:2" in one
    assert "issue:1" not in one
    assert "why: <b>" in one


def test_the_trail_is_cut_into_pages(editor, database):
    with database.transaction() as session:
        for number in range(60):
            staff.audit(session, actor="system", action=f"did {number}.", subject="issue:1")
    first = editor.get("/studio/trail?subject=issue:1")
    assert "did 0." not in first.text
    second = editor.get("/studio/trail" + html(first).css_first('a[rel="next"]').attributes["href"])
    assert "did 0." in second.text
