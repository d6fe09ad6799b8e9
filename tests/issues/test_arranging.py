import pytest
from factories.issues import NOW, article, issue
from factories.publications import publication
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from newsletter import issues
from newsletter.errors import Conflict, Invalid, Refused
from newsletter.issues.models import Placement, Section


@pytest.fixture
def weekly(session):
    return publication(session)


@pytest.fixture
def view(session, weekly):
    return issue(session, weekly, 4)


def order(view, section=0):
    return [placement.article_id for placement in view.sections[section].placements]


def positions(session, view):
    by_section = {}
    for row in session.scalars(select(Placement).where(Placement.issue_id == view.id).order_by(Placement.position)):
        by_section.setdefault(row.section_id, []).append(row.position)
    sections = session.scalars(select(Section.position).where(Section.issue_id == view.id).order_by(Section.position))
    return [*by_section.values(), list(sections)]


def contiguous(session, view):
    return all(row == list(range(len(row))) for row in positions(session, view))


def test_an_article_is_placed_where_it_was_asked_to_stand(session, weekly, view):
    late = article(session, weekly, first_seen_at=NOW)
    after = issues.place(session, view.id, late.id, view.sections[0].id, 1)
    assert order(after) == [order(view)[0], late.id, *order(view)[1:]]
    last = article(session, weekly, first_seen_at=NOW)
    assert order(issues.place(session, view.id, last.id, view.sections[2].id), 2) == [last.id]
    assert contiguous(session, view)


def test_an_article_stands_in_an_issue_once(session, view):
    with pytest.raises(Conflict, match=r"is in No\. 1 already"):
        issues.place(session, view.id, order(view)[0], view.sections[1].id)


def test_a_story_taken_out_is_not_offered_again_unless_it_is_kept_for_the_next_issue(session, weekly, view):
    out, kept = view.placements[1], view.placements[2]
    issues.remove(session, view.id, out.id)
    after = issues.remove(session, view.id, kept.id, keep_for_next=True)
    assert order(after) == [view.placements[0].article_id, view.placements[3].article_id]
    assert contiguous(session, view)
    assert issues.why_not(session, out.article_id) == "No. 1 left it out: an editor took it out."
    assert issues.waiting(session, weekly.id, now=NOW) == 1
    back = issues.place(session, view.id, out.article_id, view.sections[0].id)
    assert issues.why_not(session, out.article_id) == "It is in No. 1, under “Analysis”."
    assert back.story_count == 3


def test_a_story_moves_within_its_section_and_to_another(session, view):
    a, b, c, d = order(view)
    first = view.placements[0]
    assert order(issues.move(session, view.id, first.id, position=2)) == [b, c, a, d]
    assert order(issues.move(session, view.id, first.id)) == [b, c, d, a]
    across = issues.move(session, view.id, first.id, section_id=view.sections[1].id, position=99)
    assert (order(across), order(across, 1)) == ([b, c, d], [a])
    assert contiguous(session, view)
    with pytest.raises(Invalid):
        issues.move(session, view.id, first.id, position=-1)


def test_moving_to_where_it_stands_is_no_change(session, view):
    assert issues.move(session, view.id, view.placements[1].id, position=1) == view
    assert issues.move_section(session, view.id, view.sections[1].id, 1) == view
    assert issues.make_lead(session, view.id, view.lead.id) == view
    assert issues.rename_section(session, view.id, view.sections[0].id, "Analysis") == view


def test_one_story_leads(session, view):
    after = issues.make_lead(session, view.id, view.placements[3].id)
    assert [placement.lead for placement in after.placements] == [False, False, False, True]
    assert after.lead_reason == ""
    assert order(after) == order(view)


def test_an_issue_whose_lead_was_taken_out_has_none(session, view):
    after = issues.remove(session, view.id, view.lead.id)
    assert after.lead is None
    assert after.lead_reason == ""


def test_sections_are_added_renamed_moved_and_removed(session, view):
    after = issues.add_section(session, view.id, "  Events ", 0)
    events = after.sections[0]
    assert [section.name for section in after.sections] == ["Events", "Analysis", "News and briefs", "Voices"]
    after = issues.rename_section(session, view.id, events.id, "Dates")
    after = issues.move_section(session, view.id, events.id, 2)
    assert [section.name for section in after.sections] == ["Analysis", "News and briefs", "Dates", "Voices"]
    after = issues.remove_section(session, view.id, events.id)
    assert [section.name for section in after.sections] == ["Analysis", "News and briefs", "Voices"]
    assert contiguous(session, view)


def test_a_section_that_holds_stories_is_not_removed(session, view):
    with pytest.raises(Refused, match="still holds 4 stories"):
        issues.remove_section(session, view.id, view.sections[0].id)


def test_section_names_are_unlike_and_not_empty(session, view):
    with pytest.raises(Conflict):
        issues.add_section(session, view.id, "ANALYSIS")
    with pytest.raises(Conflict):
        issues.rename_section(session, view.id, view.sections[1].id, "voices")
    with pytest.raises(Invalid):
        issues.add_section(session, view.id, " ")
    issues.rename_section(session, view.id, view.sections[0].id, "ANALYSIS")  # its own name in another case


def test_sections_have_a_limit(session, view):
    for n in range(37):
        issues.add_section(session, view.id, f"Section {n}")
    with pytest.raises(Refused, match="at most 40"):
        issues.add_section(session, view.id, "One more")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 7)), max_size=8))
def test_any_moves_keep_every_story_once_and_positions_whole(database, moves):
    with database.transaction() as session:
        n = len(issues.listing(session).rows)
        view = issue(session, publication(session, slug=f"weekly-{n}"), 6)
        stories = view.placements
        for which, section, position in moves:
            issues.move(session, view.id, stories[which].id, section_id=view.sections[section].id, position=position)
        after = issues.get(session, view.id)
        assert sorted(p.id for p in after.placements) == sorted(p.id for p in stories)
        assert contiguous(session, view)
