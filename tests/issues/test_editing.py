import dataclasses
import datetime as dt

import pytest
from factories.issues import article, issue
from factories.publications import publication

from newsletter import issues
from newsletter.errors import Invalid, NotFound, Refused
from newsletter.issues import IssueState, Stale


@pytest.fixture
def view(session):
    return issue(session, publication(session))


def test_words_are_changed_and_the_version_goes_up(session, view):
    after = issues.edit(session, view.id, version=view.version, subject="New", note="One.\r\n\r\nTwo.  ")
    assert (after.subject, after.note, after.title) == ("New", "One.\n\nTwo.", view.title)
    assert after.version == view.version + 1
    assert after.touched


def test_an_issue_may_bear_the_day_on_which_it_will_go_out(session, view):
    after = issues.edit(session, view.id, version=view.version, date=dt.date(2026, 11, 27))
    assert after.date == dt.date(2026, 11, 27)


def test_the_same_words_twice_at_once_are_a_conflict_that_shows_what_is_stored(session, view):
    issues.edit(session, view.id, version=view.version, note="Mine.")
    with pytest.raises(Stale) as conflict:
        issues.edit(session, view.id, version=view.version, note="Theirs.")
    assert conflict.value.status == 409
    assert conflict.value.stored.note == "Mine."
    after = issues.edit(session, view.id, version=conflict.value.stored.version, note="Theirs.")
    assert after.note == "Theirs."


def test_people_at_different_words_do_not_disturb_each_other(session, view):
    first, second = view.placements[:2]
    issues.edit_placement(session, view.id, first.id, version=first.version, dek="Changed.")
    issues.make_lead(session, view.id, second.id)
    issues.edit_placement(session, view.id, second.id, version=second.version, dek="Changed too.")
    after = issues.edit(session, view.id, version=view.version, subject="Mine")
    assert after.subject == "Mine"


def test_one_story_edited_twice_at_once_is_a_conflict(session, view):
    story = view.placements[0]
    issues.edit_placement(session, view.id, story.id, version=story.version, headline="Mine")
    with pytest.raises(Stale) as conflict:
        issues.edit_placement(session, view.id, story.id, version=story.version, headline="Theirs")
    assert conflict.value.stored.placements[0].headline == "Mine"


def test_an_editors_words_win_and_the_articles_are_kept(session, view):
    story = view.placements[0]
    after = issues.edit_placement(
        session, view.id, story.id, version=1, headline="Sharper", dek="Shorter.", image_alt="A ship", show_image=False
    ).placements[0]
    assert (after.headline, after.dek, after.image_alt, after.show_image) == ("Sharper", "Shorter.", "A ship", False)
    assert (after.original_headline, after.original_dek) == (story.headline, story.dek)
    back = issues.edit_placement(session, view.id, story.id, version=after.version, headline="", dek=story.dek)
    assert (back.placements[0].headline, back.placements[0].dek) == (story.headline, story.dek)


def test_an_alt_text_written_by_an_editor_is_a_good_one(session):
    weekly = publication(session)
    article(session, weekly, image_alt="191231-m-pg096", image_alt_ok=False)
    view = issue(session, weekly, 0)
    assert not view.lead.image_alt_ok
    after = issues.edit_placement(session, view.id, view.lead.id, version=1, image_alt="Marines at a gate")
    assert (after.lead.image_alt, after.lead.image_alt_ok) == ("Marines at a gate", True)
    # The very words of a useless alternative text may be confirmed by a person.
    confirmed = issues.edit_placement(session, view.id, view.lead.id, version=2, image_alt="191231-m-pg096")
    assert confirmed.lead.image_alt_ok


def test_a_correction_at_the_source_reaches_a_story_that_nobody_rewrote(session):
    weekly = publication(session)
    row = article(session, weekly, headline="Wrong")
    view = issue(session, weekly, 0)
    row.headline = "Right"
    session.flush()
    assert issues.get(session, view.id).lead.headline == "Right"


def test_saving_what_is_stored_changes_nothing_and_keeps_the_approval(session, view):
    approved = issues.approve(session, view.id, by="editor")
    story = approved.placements[0]
    assert issues.edit(session, view.id, version=1, subject=view.subject, note=view.note) == approved
    assert issues.edit_placement(session, view.id, story.id, version=1, headline=story.headline) == approved


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"subject": "Hello\r\nBcc: everybody@example.org"}, "subject"),
        ({"subject": "x" * 301}, "subject"),
        ({"title": "a\x00b"}, "title"),
        ({"preheader": "two\nlines"}, "preheader"),
        ({"note": "bell \x07"}, "note"),
        ({"note": "x" * 20_001}, "note"),
    ],
)
def test_words_that_cannot_be_mailed_are_refused(session, view, words, field):  # T6
    with pytest.raises(Invalid) as refusal:
        issues.edit(session, view.id, version=view.version, **words)
    assert refusal.value.field == field
    assert issues.get(session, view.id) == view


@pytest.mark.parametrize("state", [IssueState.SENDING, IssueState.SENT, IssueState.CANCELLED])
def test_an_issue_under_way_or_over_is_frozen(session, view, state):
    if state is IssueState.CANCELLED:
        issues.transition(session, view.id, state)
    else:
        issues.approve(session, view.id, by="editor")
        issues.transition(session, view.id, IssueState.SENDING)
        if state is IssueState.SENT:
            issues.transition(session, view.id, IssueState.SENT)
    frozen = issues.get(session, view.id)
    story, section = view.placements[0], view.sections[0]
    changes = [
        lambda: issues.edit(session, view.id, version=99, subject="New"),
        lambda: issues.edit_placement(session, view.id, story.id, version=99, headline="New"),
        lambda: issues.place(session, view.id, story.article_id, section.id),
        lambda: issues.remove(session, view.id, story.id),
        lambda: issues.move(session, view.id, story.id, position=0),
        lambda: issues.make_lead(session, view.id, story.id),
        lambda: issues.add_section(session, view.id, "New"),
        lambda: issues.rename_section(session, view.id, section.id, "New"),
        lambda: issues.move_section(session, view.id, section.id, 1),
        lambda: issues.remove_section(session, view.id, view.sections[2].id),
        lambda: issues.approve(session, view.id, by="editor"),
        lambda: issues.unapprove(session, view.id),
    ]
    for change in changes:
        with pytest.raises(Refused, match=f"No. 1 is {state}"):
            change()
    assert issues.get(session, view.id) == frozen


def test_a_story_or_section_of_another_issue_does_not_exist_here(session, view):  # T17
    weekly = publication(session, slug="other")
    other = issue(session, weekly)
    mine, section = other.placements[0], other.sections[0]
    changes = [
        lambda: issues.edit_placement(session, view.id, mine.id, version=1, headline="Stolen"),
        lambda: issues.remove(session, view.id, mine.id),
        lambda: issues.move(session, view.id, mine.id, position=0),
        lambda: issues.move(session, view.id, view.placements[0].id, section_id=section.id),
        lambda: issues.make_lead(session, view.id, mine.id),
        lambda: issues.place(session, view.id, mine.article_id, view.sections[0].id),
        lambda: issues.rename_section(session, view.id, section.id, "Stolen"),
        lambda: issues.remove_section(session, view.id, section.id),
    ]
    for change in changes:
        with pytest.raises(NotFound):
            change()
    assert issues.get(session, view.id) == view
    assert issues.get(session, other.id) == other


def test_an_issue_that_does_not_exist_is_not_found(session):
    for ask in (
        lambda: issues.get(session, 99),
        lambda: issues.edit(session, 99, version=1, subject="x"),
        lambda: issues.transition(session, 99, IssueState.SENT),
        lambda: issues.approve(session, 99, by="x"),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_view_cannot_be_changed(view):
    with pytest.raises(dataclasses.FrozenInstanceError):
        view.subject = "New"
