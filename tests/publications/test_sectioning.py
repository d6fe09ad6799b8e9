import pytest
from factories.publications import publication

from newsletter import publications
from newsletter.errors import Invalid
from newsletter.publications import SectionRule


def test_a_new_publication_has_a_blueprint_in_which_every_story_finds_a_place(session):
    sections = publications.blueprint(session, publication(session).id)
    assert [section.name for section in sections] == ["Analysis", "News and briefs", "Voices"]
    assert [section.name for section in sections if not section.takes] == ["News and briefs"]


def test_a_blueprint_replaces_the_one_before_in_the_order_given(session):
    made = publication(session)
    rules = [SectionRule("Europe", ("Europe", "europe", "EU")), SectionRule("The rest", cap=5)]
    publications.set_blueprint(session, made, rules)
    sections = publications.blueprint(session, made.id)
    assert [(section.name, section.takes, section.cap) for section in sections] == [
        ("Europe", ["Europe", "europe", "EU"], 12),
        ("The rest", [], 5),
    ]


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [SectionRule("")],
        [SectionRule("A"), SectionRule("a", ("x",))],
        [SectionRule("A"), SectionRule("B")],
        [SectionRule("A", cap=0)],
        [SectionRule("A", cap=101)],
        [SectionRule("A\nB")],
        [SectionRule("A", tuple(f"kind {n}" for n in range(51)))],
        [SectionRule(f"Section {n}", (f"kind {n}",)) for n in range(31)],
    ],
)
def test_a_blueprint_that_cannot_work_is_refused_and_the_old_one_stays(session, rules):
    made = publication(session)
    with pytest.raises(Invalid) as refusal:
        publications.set_blueprint(session, made, rules)
    assert refusal.value.field == "blueprint"
    assert len(publications.blueprint(session, made.id)) == 3
