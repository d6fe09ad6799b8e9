import datetime as dt

import pytest
from factories.issues import NOW, article
from factories.publications import publication

from newsletter import articles
from newsletter.issues.choosing import (
    MAX_PREHEADER,
    MAX_SUBJECT,
    choose_lead,
    plan,
    preheader_from,
    shortened,
    subject_from,
)
from newsletter.publications import SectionRule


@pytest.fixture
def story(session):
    """Makes stories of one publication, numbered so that a later one is older."""
    made = publication(session)

    def make(**fields):
        row = article(session, made, **fields)
        return articles.view(session, [row.id])[row.id]

    return make


RULES = [
    SectionRule("Analysis", ("Analysis",), 2),
    SectionRule("Middle East", ("middle east",)),
    SectionRule("Blog", ("The Log",)),
    SectionRule("The rest"),
]


def test_a_story_goes_to_the_first_section_that_names_its_kind_region_or_source_section(story):
    both = story(kicker_kind="analysis", kicker_region="Middle East")
    region = story(kicker_kind="News", kicker_region="MIDDLE EAST")
    blog = story(kicker_kind="", kicker_region="", section="The Log")
    other = story(kicker_kind="News", kicker_region="Asia")
    made = plan(RULES, [other, blog, region, both])
    assert made.sections == (
        ("Analysis", (both.id,)),
        ("Middle East", (region.id,)),
        ("Blog", (blog.id,)),
        ("The rest", (other.id,)),
    )
    assert made.left_out == ()


def test_a_full_section_keeps_its_newest_stories_and_says_what_it_left_out(story):
    old, newer, newest = (story(published_at=NOW - dt.timedelta(days=n)) for n in (3, 2, 1))
    made = plan(RULES, [old, newest, newer])
    assert made.sections[0] == ("Analysis", (newest.id, newer.id))
    assert made.left_out == ((old.id, "“Analysis” was full with 2 newer stories."),)


def test_a_story_that_no_section_takes_is_left_out_with_the_reason(story):
    stray = story(kicker_kind="Opinion", kicker_region="Africa")
    bare = story(kicker_kind="", kicker_region="")
    made = plan(RULES[:1], [stray, bare])
    assert dict(made.left_out) == {
        stray.id: "no section takes “Opinion | Africa”.",
        bare.id: "no section takes stories without a kind or region.",
    }
    assert made.lead_id is None


def test_an_undated_story_counts_as_of_when_it_was_first_seen(story):
    dated = story(published_at=NOW - dt.timedelta(days=3))
    undated = story(published_at=None, first_seen_at=NOW - dt.timedelta(days=2))
    older = story(published_at=NOW - dt.timedelta(days=4))
    assert plan([SectionRule("All")], [older, undated, dated]).sections == (("All", (undated.id, dated.id, older.id)),)


def test_analysis_with_photo_and_dek_leads_before_newer_news_and_briefs(story):
    analysis = story(published_at=NOW - dt.timedelta(days=5))
    news = story(kicker_kind="News", published_at=NOW - dt.timedelta(days=1))
    brief = story(kicker_kind="Blog", published_at=NOW)
    lead, reason = choose_lead([brief, news, analysis])
    assert lead.id == analysis.id
    assert reason == "Chosen as the only Analysis with a photo and a dek, among 3 stories."


@pytest.mark.parametrize(
    "lacking", [{"image_url": ""}, {"dek": ""}, {"image_width": 300}], ids=["photo", "dek", "width"]
)
def test_a_story_that_lacks_a_wide_photo_or_a_dek_leads_only_if_all_do(story, lacking):
    bare = story(published_at=NOW, **lacking)
    complete = story(kicker_kind="News", published_at=NOW - dt.timedelta(days=6))
    assert choose_lead([bare, complete])[0].id == complete.id
    lead, reason = choose_lead([bare])
    assert lead.id == bare.id
    assert "lacks" in reason


def test_no_stories_have_no_lead():
    assert choose_lead([]) == (None, "")


def test_subject_and_preheader_are_taken_from_the_lead(story):
    lead, second = story(headline="The strait reopens", dek="After nine days, ships pass again."), story()
    assert subject_from(lead) == "The strait reopens"
    assert preheader_from(lead, [second]) == "After nine days, ships pass again."
    bare = story(dek="")
    assert preheader_from(bare, [lead, second]) == f"The strait reopens; {second.headline}"


def test_long_lines_are_cut_between_words(story):
    long = story(headline="A headline " + "that goes on " * 20, dek="A dek, " * 60)
    assert len(subject_from(long)) <= MAX_SUBJECT
    assert len(preheader_from(long, [])) <= MAX_PREHEADER
    assert shortened("one two, three four", 14) == "one two…"
    assert shortened("one\n two", 14) == "one two"
