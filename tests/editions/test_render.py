import datetime as dt

import pytest

from newsletter.editions.render import Renderer, day, day_near, locale_of, number

FRIDAY = dt.date(2026, 11, 20)


@pytest.fixture
def render(tmp_path):
    def with_source(name, source, **facts):
        (tmp_path / name).write_text(source)
        return Renderer(tmp_path).render(name, **facts)

    return with_source


@pytest.mark.parametrize("name", ["a.html", "a.xml"])
def test_markup_escapes_what_people_wrote(render, name):
    assert render(name, "{{ x }}", x="<script>") == "&lt;script&gt;"


@pytest.mark.parametrize("name", ["a.txt", "a.css"])
def test_text_does_not(render, name):
    assert render(name, "{{ x }}", x="Mum & Dad's") == "Mum & Dad's"


def test_a_value_is_never_template_source(render):
    assert render("a.txt", "{{ x }}", x="{{ 7*7 }}{% raw %}") == "{{ 7*7 }}{% raw %}"


def test_a_name_that_nobody_gave_is_an_error(render):
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="headline"):
        render("a.txt", "{{ headline }}")


def test_a_template_outside_the_folder_is_out_of_reach(render):
    from jinja2 import TemplateNotFound

    with pytest.raises(TemplateNotFound):
        render("a.txt", "{% include '../../etc/passwd' %}")


def test_it_says_which_templates_there_are(tmp_path):
    (tmp_path / "a.txt").write_text("")
    assert Renderer(tmp_path).has("a.txt")
    assert not Renderer(tmp_path).has("../a.txt")


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", "Friday, November 20, 2026"),
        ("en-GB", "Friday, 20 November 2026"),
        ("fr", "vendredi 20 novembre 2026"),
        ("xx", "Friday, November 20, 2026"),
    ],
)
def test_a_date_is_written_in_its_language(language, written):
    assert day(FRIDAY, language, "full") == written


def test_a_date_of_the_same_year_goes_without_it():
    assert day_near(dt.date(2026, 1, 5), FRIDAY) == "January 5"
    assert day_near(dt.date(2025, 12, 31), FRIDAY) == "December 31, 2025"
    assert day_near(dt.date(2026, 1, 5), FRIDAY, "de") == "5. Januar"


def test_numbers_have_their_languages_separators():
    assert number(25000) == "25,000"
    assert number(25000, "de") == "25.000"
    assert str(locale_of("pt-BR")) == "pt_BR"
