import datetime as dt
import threading

import pytest
from factories.issues import NOW, article, issue
from factories.publications import publication

from newsletter import articles, issues, publications
from newsletter.articles import ArticleState
from newsletter.articles.models import Source
from newsletter.errors import Refused
from newsletter.issues import IssueState
from newsletter.publications import SectionRule

DAY = dt.timedelta(days=1)


@pytest.fixture
def weekly(session):
    return publication(session)


def placed(view):
    return {placement.article_id for placement in view.placements}


def test_a_draft_is_numbered_dated_filled_and_led(session, weekly):
    stories = [article(session, weekly) for _ in range(3)]
    view = issues.draft(session, weekly.id, now=dt.datetime(2026, 11, 20, 23, 59, tzinfo=dt.UTC))
    assert (view.number, view.date, view.state, view.version) == (1, dt.date(2026, 11, 20), IssueState.DRAFT, 1)
    assert view.title == "The Meridian Weekly No. 1"
    assert [section.name for section in view.sections] == ["Analysis", "News and briefs", "Voices"]
    assert placed(view) == {story.id for story in stories}
    assert view.lead.article_id == stories[0].id
    assert view.subject == stories[0].headline
    assert view.preheader == stories[0].dek
    assert view.lead_reason.startswith("Chosen as the newest Analysis")
    assert view.story_count == 3
    assert not view.touched


def test_the_date_is_that_of_the_publications_zone(session):
    east = publication(session, slug="east", timezone="Asia/Tokyo")
    article(session, east)
    late = dt.datetime(2026, 11, 20, 16, 0, tzinfo=dt.UTC)
    assert issues.draft(session, east.id, now=late).date == dt.date(2026, 11, 21)


def test_an_open_draft_takes_up_what_is_new_until_somebody_touches_it(session, weekly):
    first = issue(session, weekly)
    late = article(session, weekly, first_seen_at=NOW + DAY, published_at=NOW + DAY)
    again = issues.draft(session, weekly.id, now=NOW + 2 * DAY)
    assert again.id == first.id
    assert placed(again) == placed(first) | {late.id}
    assert again.lead.article_id == late.id
    assert again.subject == late.headline
    assert again.cutoff_at == NOW + 2 * DAY
    assert again.version == first.version + 1
    assert {p.id for p in first.placements} < {p.id for p in again.placements}  # what stays keeps its id

    touched = issues.edit(session, first.id, version=again.version, note="Good morning.")
    article(session, weekly, first_seen_at=NOW + 3 * DAY)
    left_alone = issues.draft(session, weekly.id, now=NOW + 4 * DAY)
    assert left_alone == touched
    assert issues.waiting(session, weekly.id, now=NOW + 4 * DAY) == 1


def test_drafting_again_with_nothing_new_changes_nothing(session, weekly):
    first = issue(session, weekly)
    assert issues.draft(session, weekly.id, now=NOW + DAY) == first


def test_a_story_ruled_out_meanwhile_leaves_an_untouched_draft_when_it_is_filled_again(session, weekly):
    first = issue(session, weekly)
    gone = first.lead.article_id
    articles.rule(session, gone, ArticleState.RULED_OUT)
    late = article(session, weekly, first_seen_at=NOW + DAY)
    again = issues.draft(session, weekly.id, now=NOW + 2 * DAY)
    assert placed(again) == placed(first) - {gone} | {late.id}
    assert again.lead is not None


def test_a_blueprint_that_changed_reshapes_an_untouched_draft(session, weekly):
    issue(session, weekly)
    publications.set_blueprint(session, weekly, [SectionRule("Everything")])
    article(session, weekly, first_seen_at=NOW + DAY)
    again = issues.draft(session, weekly.id, now=NOW + 2 * DAY)
    assert [(section.name, len(section.placements)) for section in again.sections] == [("Everything", 4)]


def test_the_next_issue_repeats_nothing_and_loses_nothing(session, weekly):
    first = issue(session, weekly, approved=True)
    late = article(session, weekly, first_seen_at=NOW + DAY, published_at=NOW - 30 * DAY)  # back-dated
    second = issues.draft(session, weekly.id, now=NOW + 7 * DAY)
    assert second.number == 2
    assert placed(second) == {late.id}
    assert issues.articles_used(session, weekly.id) == placed(first) | placed(second)


def test_a_story_seen_before_the_cut_off_but_committed_after_it_is_not_lost(session, weekly):
    issue(session, weekly, approved=True)
    slow = article(session, weekly, first_seen_at=NOW - dt.timedelta(seconds=1))
    assert placed(issues.draft(session, weekly.id, now=NOW + DAY)) == {slow.id}


def test_a_story_first_seen_after_now_waits(session, weekly):
    article(session, weekly, first_seen_at=NOW + DAY)
    with pytest.raises(Refused):
        issues.draft(session, weekly.id, now=NOW)


def test_what_was_left_out_is_not_dragged_along_and_its_reason_is_kept(session, weekly):
    publications.set_blueprint(session, weekly, [SectionRule("Top", cap=2)])
    stories = [article(session, weekly) for _ in range(3)]
    first = issues.draft(session, weekly.id, now=NOW)
    issues.approve(session, first.id, by="editor")
    assert issues.why_not(session, stories[0].id) == "It is in No. 1, under “Top”."
    assert issues.why_not(session, stories[2].id) == "No. 1 left it out: “Top” was full with 2 newer stories."
    new = article(session, weekly, first_seen_at=NOW + DAY)
    assert issues.why_not(session, new.id) == "No draft has considered it yet."
    assert placed(issues.draft(session, weekly.id, now=NOW + 2 * DAY)) == {new.id}


def test_a_cancelled_issue_gives_its_stories_back(session, weekly):
    first = issue(session, weekly)
    issues.transition(session, first.id, IssueState.CANCELLED)
    assert issues.articles_used(session, weekly.id) == set()
    second = issues.draft(session, weekly.id, now=NOW + DAY)
    assert (second.number, placed(second)) == (2, placed(first))


def test_a_missed_issue_must_be_decided_on_first(session, weekly):
    first = issue(session, weekly, approved=True)
    issues.transition(session, first.id, IssueState.SCHEDULED)
    issues.transition(session, first.id, IssueState.MISSED)
    article(session, weekly)
    with pytest.raises(Refused, match="was missed and still waits"):
        issues.draft(session, weekly.id, now=NOW + DAY)


def test_a_publication_without_sources_is_told_so(session, weekly):
    with pytest.raises(Refused, match="no source of stories yet"):
        issues.draft(session, weekly.id)


def test_an_empty_week_writes_nothing_and_names_the_sources_that_failed(database):
    with database.transaction() as session:
        weekly = publication(session)
        issue(session, weekly, approved=True)
        session.add_all(
            Source(publication_id=weekly.id, url=url, problem=problem, next_check_at=NOW, created_at=NOW)
            for url, problem in (("https://a.example/feed", ""), ("https://b.example/feed", "HTTP 503."))
        )
    with pytest.raises(Refused) as refusal, database.transaction() as session:
        issues.draft(session, weekly.id, now=NOW + 7 * DAY)
    assert refusal.value.message == (
        "Nothing new for The Meridian Weekly since No. 1 of 2026-11-20; "
        "these could not be read: https://b.example/feed (HTTP 503). No issue was made."
    )
    with database.read() as session:
        assert len(issues.listing(session).rows) == 1
        assert publications.by_id(session, weekly.id).next_number == 2


def test_new_stories_that_no_section_takes_make_no_empty_issue(session, weekly):
    publications.set_blueprint(session, weekly, [SectionRule("Opinion", ("Opinion",))])
    article(session, weekly)
    with pytest.raises(Refused, match="1 new story for The Meridian Weekly, but no section takes “Analysis"):
        issues.draft(session, weekly.id, now=NOW)


def test_publications_do_not_share_stories(session, weekly):
    other = publication(session, slug="other")
    article(session, other)
    view = issue(session, weekly, 1)
    assert view.story_count == 1
    assert issues.waiting(session, other.id, now=NOW) == 1


def test_two_drafts_at_once_make_one_issue(database):
    with database.transaction() as session:
        weekly = publication(session)
        article(session, weekly)
    made, barrier = [], threading.Barrier(3)

    def draft():
        barrier.wait()
        with database.transaction() as session:
            made.append(issues.draft(session, weekly.id, now=NOW).id)

    threads = [threading.Thread(target=draft) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3
    assert len(set(made)) == 1


def test_a_pool_larger_than_a_page_is_considered_whole(session, weekly):
    publications.set_blueprint(session, weekly, [SectionRule("All", cap=100)])
    for _ in range(230):
        article(session, weekly)
    view = issues.draft(session, weekly.id, now=NOW)
    assert view.story_count == 100
    assert issues.waiting(session, weekly.id, now=NOW) == 0
