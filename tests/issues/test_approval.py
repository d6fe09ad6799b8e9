import dataclasses
import datetime as dt
import itertools
import threading

import pytest
from factories.issues import NOW, article, issue
from factories.publications import publication

from newsletter import issues
from newsletter.errors import Invalid, Refused
from newsletter.issues import IssueState, content_hash
from newsletter.issues.states import ALLOWED, EDITABLE


@pytest.fixture
def weekly(session):
    return publication(session)


@pytest.fixture
def view(session, weekly):
    return issue(session, weekly)


def test_an_approval_names_the_approver_and_pins_the_content(session, view):
    approved = issues.approve(session, view.id, by="editor@meridian.example")
    assert approved.state is IssueState.APPROVED
    assert approved.approved_by == "editor@meridian.example"
    assert approved.approved_hash == content_hash(view) == content_hash(approved)
    assert approved.approved_at is not None
    assert approved.version == view.version


def test_approving_twice_keeps_the_first_approval(session, view):
    approved = issues.approve(session, view.id, by="first")
    assert issues.approve(session, view.id, by="second") == approved


def test_an_issue_without_stories_or_subject_is_not_approved(session, view):
    bare = issues.edit(session, view.id, version=1, subject="")
    with pytest.raises(Invalid) as refusal:
        issues.approve(session, view.id, by="editor")
    assert refusal.value.field == "subject"
    issues.edit(session, view.id, version=bare.version, subject="A subject")
    for placement in view.placements:
        issues.remove(session, view.id, placement.id)
    with pytest.raises(Refused, match="has no stories"):
        issues.approve(session, view.id, by="editor")


CHANGES = {
    "subject": lambda s, v: issues.edit(s, v.id, version=v.version, subject="New"),
    "title": lambda s, v: issues.edit(s, v.id, version=v.version, title="New"),
    "preheader": lambda s, v: issues.edit(s, v.id, version=v.version, preheader="New"),
    "note": lambda s, v: issues.edit(s, v.id, version=v.version, note="New"),
    "date": lambda s, v: issues.edit(s, v.id, version=v.version, date=dt.date(2026, 1, 1)),
    "headline": lambda s, v: issues.edit_placement(s, v.id, v.placements[0].id, version=1, headline="New"),
    "dek": lambda s, v: issues.edit_placement(s, v.id, v.placements[0].id, version=1, dek="New"),
    "alt": lambda s, v: issues.edit_placement(s, v.id, v.placements[0].id, version=1, image_alt="New"),
    "photo": lambda s, v: issues.edit_placement(s, v.id, v.placements[0].id, version=1, show_image=False),
    "order": lambda s, v: issues.move(s, v.id, v.placements[0].id, position=1),
    "section": lambda s, v: issues.move(s, v.id, v.placements[0].id, section_id=v.sections[1].id),
    "removal": lambda s, v: issues.remove(s, v.id, v.placements[0].id),
    "lead": lambda s, v: issues.make_lead(s, v.id, v.placements[1].id),
    "name": lambda s, v: issues.rename_section(s, v.id, v.sections[0].id, "New"),
    "sections": lambda s, v: issues.move_section(s, v.id, v.sections[0].id, 1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("state", [IssueState.APPROVED, IssueState.SCHEDULED])
def test_any_change_of_content_takes_the_approval_back_and_changes_the_hash(session, view, change, state):
    approved = issues.approve(session, view.id, by="editor")
    if state is IssueState.SCHEDULED:
        issues.transition(session, view.id, state)
    after = change(session, approved)
    assert after.state is IssueState.DRAFT
    assert (after.approved_by, after.approved_at, after.approved_hash) == ("", None, "")
    assert after.version > approved.version
    assert content_hash(after) != content_hash(approved)


def test_placing_a_story_takes_the_approval_back(session, weekly, view):
    issues.approve(session, view.id, by="editor")
    late = article(session, weekly, first_seen_at=NOW)
    assert issues.place(session, view.id, late.id, view.sections[0].id).state is IssueState.DRAFT


def test_an_approval_taken_back_by_hand_leaves_nothing_of_it(session, view):
    issues.approve(session, view.id, by="editor")
    after = issues.unapprove(session, view.id)
    assert after == view
    assert issues.unapprove(session, view.id) == view


def test_a_correction_at_the_source_makes_the_approval_stale_and_can_be_approved_again(session, weekly):
    row = article(session, weekly, headline="Wrong")
    view = issue(session, weekly, 0)
    issues.approve(session, view.id, by="first")
    issues.transition(session, view.id, IssueState.SCHEDULED)
    row.headline = "Right"
    session.flush()
    stale = issues.get(session, view.id)
    assert stale.approved_hash != content_hash(stale)
    again = issues.approve(session, view.id, by="second")
    assert (again.state, again.approved_by) == (IssueState.SCHEDULED, "second")
    assert again.approved_hash == content_hash(again)


def with_lead(view, **fields):
    first, *rest = view.sections
    stories = (dataclasses.replace(first.placements[0], **fields), *first.placements[1:])
    return dataclasses.replace(view, sections=(dataclasses.replace(first, placements=stories), *rest))


def test_the_hash_covers_what_is_rendered_and_nothing_else(view):
    unrendered = dataclasses.replace(
        view, version=9, state=IssueState.SENT, approved_by="x", cutoff_at=NOW + dt.timedelta(days=1), lead_reason="x"
    )
    assert content_hash(unrendered) == content_hash(view)
    for name in ("byline", "kicker_kind", "kicker_region", "url", "image_url", "image_caption", "image_credit"):
        assert content_hash(with_lead(view, **{name: "new"})) != content_hash(view), name
    for name in ("published_at", "image_width", "image_height"):
        assert content_hash(with_lead(view, **{name: None})) != content_hash(view), name
    assert content_hash(dataclasses.replace(view, date=dt.date(2026, 1, 1))) != content_hash(view)


PAIRS = list(itertools.product(IssueState, IssueState))
ROUTES = {
    IssueState.DRAFT: [],
    IssueState.APPROVED: [IssueState.APPROVED],
    IssueState.SCHEDULED: [IssueState.APPROVED, IssueState.SCHEDULED],
    IssueState.MISSED: [IssueState.APPROVED, IssueState.SCHEDULED, IssueState.MISSED],
    IssueState.SENDING: [IssueState.APPROVED, IssueState.SENDING],
    IssueState.SENT: [IssueState.APPROVED, IssueState.SENDING, IssueState.SENT],
    IssueState.CANCELLED: [IssueState.CANCELLED],
}


@pytest.mark.parametrize(("start", "to"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_an_issue_moves_only_along_the_table(session, view, start, to):
    for step in ROUTES[start]:
        issues.transition(session, view.id, step)
    if to in ALLOWED[start]:
        issues.transition(session, view.id, to)
        assert issues.get(session, view.id).state is to
    else:
        with pytest.raises(Refused, match=f"No. 1 is {start} and cannot become {to}"):
            issues.transition(session, view.id, to)
        assert issues.get(session, view.id).state is start


def test_what_may_be_edited_may_become_a_draft():
    assert {state for state in IssueState if IssueState.DRAFT in ALLOWED[state]} | {IssueState.DRAFT} == EDITABLE


def test_of_two_who_start_the_same_issue_one_is_refused(database):
    with database.transaction() as session:
        ident = issue(session, publication(session), approved=True).id
    outcomes, barrier = [], threading.Barrier(4)

    def start():
        barrier.wait()
        try:
            with database.transaction() as session:
                issues.transition(session, ident, IssueState.SENDING)
            outcomes.append("started")
        except Refused:
            outcomes.append("refused")

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "refused", "refused", "started"]


def test_issues_are_listed_newest_first_in_pages(session, weekly):
    first = issue(session, weekly, 2, approved=True)
    second = issue(session, weekly, 1)
    other = issue(session, publication(session, slug="other"), 1)
    rows = issues.listing(session, weekly.id).rows
    assert [(row.id, row.number, row.story_count, row.state) for row in rows] == [
        (second.id, 2, 1, IssueState.DRAFT),
        (first.id, 1, 2, IssueState.APPROVED),
    ]
    page = issues.listing(session, limit=2)
    assert [row.id for row in page.rows] == [other.id, second.id]
    assert [row.id for row in issues.listing(session, after=page.next_after, limit=2).rows] == [first.id]
