import pytest
from factories import issues as issue_factory
from factories.publications import publication
from sqlalchemy import func, select, update

from newsletter import editions, issues, publications
from newsletter.editions.models import Edition, EditionLink
from newsletter.errors import Invalid, NotFound

BASE = "https://news.meridian.example"


@pytest.fixture
def title(database):
    with database.transaction() as session:
        return publication(session)


@pytest.fixture
def issue(database, title):
    with database.transaction() as session:
        return issue_factory.issue(session, title)


def freeze(database, issue_id):
    with database.transaction() as session:
        return editions.freeze(session, issue_id, base_url=BASE)


def edit(database, issue_id, **words):
    with database.transaction() as session:
        version = issues.get(session, issue_id).version
        issues.edit(session, issue_id, version=version, **words)


def count(database, table):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_an_edition_is_the_issue_composed(database, title, issue):
    edition = freeze(database, issue.id)
    composed = editions.compose(issue, title, BASE)
    assert edition.issue_id == issue.id
    for field in ("subject", "html", "text", "web_html", "links", "compiled", "html_bytes"):
        assert getattr(edition, field) == getattr(composed, field)


def test_freezing_again_finds_the_same_edition(database, issue):
    first = freeze(database, issue.id)
    assert freeze(database, issue.id) == first
    assert count(database, Edition) == 1
    assert count(database, EditionLink) == len(first.links)


def test_editing_makes_a_new_edition_and_leaves_the_old(database, issue):
    first = freeze(database, issue.id)
    edit(database, issue.id, subject="Another subject")
    second = freeze(database, issue.id)
    assert second.id != first.id
    assert second.subject == "Another subject"
    with database.read() as session:
        assert editions.load(session, first.id) == first


def test_latest_is_what_was_frozen_last_even_if_it_was_made_before(database, issue):
    edit(database, issue.id, subject="One")
    first = freeze(database, issue.id)
    edit(database, issue.id, subject="Two")
    second = freeze(database, issue.id)
    edit(database, issue.id, subject="One")
    again = freeze(database, issue.id)
    assert again.id == first.id != second.id
    with database.read() as session:
        assert editions.latest(session, issue.id) == again


def test_before_the_first_freeze_there_is_no_edition(database, issue):
    with database.read() as session:
        assert editions.latest(session, issue.id) is None
        with pytest.raises(NotFound, match="no edition with the id 9"):
            editions.load(session, 9)


def test_a_mended_target_stays_mended(database, issue):
    edition = freeze(database, issue.id)
    with database.transaction() as session:
        session.execute(
            update(EditionLink)
            .where(EditionLink.edition_id == edition.id, EditionLink.n == 1)
            .values(url="https://meridian.example/mended")
        )
    freeze(database, issue.id)
    with database.read() as session:
        found = editions.targets(session, edition.id)
    assert found[1] == "https://meridian.example/mended"
    assert found[2] == edition.links[1].url
    assert len(found) == len(edition.links)


def test_an_issue_whose_stories_are_gone_can_be_frozen_for_a_look(database, title, issue):
    with database.transaction() as session:
        publications.update(session, title, tracking=False)
        for placement in issue.placements:
            issues.remove(session, issue.id, placement.id)
    assert freeze(database, issue.id).html.startswith("<!DOCTYPE html>")


def test_a_wrong_tag_freezes_nothing(database, issue):
    edit(database, issue.id, note="Dear {{ nickname }}")
    with pytest.raises(Invalid, match="nickname"):
        freeze(database, issue.id)
    assert count(database, Edition) == 0


def test_two_who_freeze_at_once_get_one_edition(database, issue):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _n: freeze(database, issue.id).id, range(8)))
    assert len(found) == 1
    assert count(database, Edition) == 1
