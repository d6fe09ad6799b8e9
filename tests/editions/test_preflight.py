import datetime as dt

import pytest
from factories import editions as make
from factories import issues as issue_factory
from factories.publications import publication

from newsletter import editions, issues
from newsletter.editions.preflight import checked


def findings(issue=None, base_url=make.BASE_URL, used=None, **fields):
    return checked(issue or make.stories(3), make.publication(**fields), base_url, used or {})


def found(*args, **fields):
    return {(finding.level, finding.name, finding.where) for finding in findings(*args, **fields)}


def test_a_good_issue_has_nothing_against_it():
    assert found() == set()


def story(**fields):
    return make.view(("Europe", [make.placement(1, lead=True), make.placement(2, **fields)]))


@pytest.mark.parametrize(
    ("issue", "finding"),
    [
        (make.stories(3, subject=" "), ("block", "subject missing", "subject")),
        (make.stories(3, subject="x" * 71), ("warn", "subject long", "subject")),
        (make.stories(3, subject="READ THIS NOW"), ("warn", "subject shouted", "subject")),
        (make.stories(3, subject="Hello {{ nickname }}"), ("block", "merge tag", "subject")),
        (make.stories(3, subject="Hello {{ first_name }}"), ("block", "merge tag without default", "subject")),
        (make.stories(3, note="Hello {{ first_name }}"), ("warn", "merge tag without default", "note")),
        (make.stories(3, note="Hello *|FNAME|*"), ("warn", "foreign tag", "note")),
        (make.stories(3, preheader=""), ("warn", "preheader missing", "preheader")),
        (
            make.stories(3, preheader="The STRAIT that nobody closed"),
            ("warn", "preheader repeats", "preheader"),
        ),
        (make.stories(3, preheader="x" * 141), ("warn", "preheader long", "preheader")),
        (make.stories(3, note="The figure is TK."), ("warn", "placeholder", "note")),
        (make.stories(3, title="The Thursday briefing"), ("warn", "another day", "title")),
        (make.view(), ("block", "no stories", "sections")),
        (make.view(("Europe", [make.placement(1)])), ("warn", "no lead", "sections")),
        (story(dek=""), ("warn", "dek missing", "story-2")),
        (story(dek="x" * 401), ("warn", "dek long", "story-2")),
        (story(dek="Lorem ipsum dolor"), ("warn", "placeholder", "story-2")),
        (story(headline="{{ x }}", original_headline="x"), ("block", "merge tag", "story-2")),
        (story(image_alt_ok=False), ("warn", "alt missing", "story-2")),
        (story(image_url="http://pictures.example/1.jpg"), ("warn", "photo without https", "story-2")),
        (story(url="http://localhost:8080/a"), ("block", "private link", "story-2")),
        (story(url="http://192.168.1.7/a"), ("block", "private link", "story-2")),
        (story(url="http://[::1]/a"), ("block", "private link", "story-2")),
        (story(url="http://cms/a"), ("block", "private link", "story-2")),
        (story(url="https://staging.meridian.example/a"), ("warn", "staging link", "story-2")),
        (story(url="javascript:alert(1)"), ("block", "no link", "story-2")),
        (make.stories(120), ("block", "mail too big", "sections")),
        (make.stories(42), ("warn", "mail heavy", "sections")),
    ],
)
def test_each_check_finds_its_fault_alone(issue, finding):
    assert found(issue) == {finding}


@pytest.mark.parametrize(
    ("fields", "finding"),
    [
        ({"postal_address": " "}, ("block", "postal address missing", "publication")),
        ({"base_url": "http://127.0.0.1:8000"}, ("warn", "server is local", "settings")),
        ({"base_url": "http://news.meridian.example"}, ("warn", "server without https", "settings")),
        ({"theme": "brochure"}, ("block", "cannot be composed", "theme")),
        ({"from_address": "désk@meridian.example"}, ("block", "cannot be composed", "publication")),
        ({"used": {102: 41}}, ("warn", "story used before", "story-2")),
    ],
)
def test_each_check_of_the_sender_finds_its_fault_alone(fields, finding):
    assert found(**fields) == {finding}


def test_on_a_local_server_local_stories_are_fine():
    issue = story(url="http://127.0.0.1:8001/story", image_url="http://127.0.0.1:8001/1.png")
    assert found(issue, base_url="http://127.0.0.1:8000") == {("warn", "server is local", "settings")}


def test_a_story_without_a_headline_is_blocked():
    assert ("block", "headline missing", "story-2") in found(story(headline=" "))


def test_a_feeds_braces_are_no_tag():
    assert found(story(headline="What {{ means }} means")) == set()


def test_what_blocks_comes_first_and_each_says_why():
    listed = findings(story(dek="", url="http://cms/a"), used={102: 41})
    assert [finding.level for finding in listed] == ["block", "warn", "warn"]
    assert "links to cms, which readers cannot reach" in listed[0].reason
    assert "is in No. 41 too" in " ".join(finding.reason for finding in listed)


def test_a_theme_that_forgets_the_way_out_is_blocked(monkeypatch):
    from newsletter.editions import preflight as _  # noqa: F401 - the module must be loaded
    from newsletter.editions.checks import message
    from newsletter.editions.checks.finding import Case
    from newsletter.editions.compiled import Compiled

    issue, title = make.stories(1), make.publication()
    whole = editions.compose(issue, title, make.BASE_URL)
    kept = [n for n, slot in enumerate(whole.compiled.slots) if slot.place != "html"]
    from dataclasses import replace

    without = Compiled(
        tuple(whole.compiled.literals[n] for n in range(len(kept) + 1)), tuple(whole.compiled.slots[n] for n in kept)
    )
    case = Case(issue, title, make.BASE_URL, {}, replace(whole, compiled=without, text="\n"))
    assert {finding.name for finding in message.parts(case)} == {"text part missing", "unsubscribe link missing"}


def test_it_reads_the_issue_and_knows_the_others(database, settings):
    with database.transaction() as session:
        title = publication(session)
        first = issue_factory.issue(session, title, approved=True)
        issue_factory.article(session, title)
        second = issues.draft(session, title.id, now=issue_factory.NOW + dt.timedelta(days=7))
        used = first.placements[0]
        issues.place(session, second.id, used.article_id, second.sections[0].id)
    with database.read() as session:
        listed = editions.preflight(session, second.id, settings)
    reasons = [finding.reason for finding in listed if finding.name == "story used before"]
    assert reasons == [f"“{used.headline}” is in No. {first.number} too."]
