import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editions.merge import Tag, parse, without_tags
from newsletter.errors import Invalid


def test_a_text_without_tags_is_one_piece():
    assert parse("Good afternoon } {", field="note") == ("Good afternoon } {",)
    assert parse("", field="note") == ()


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("{{first_name}}", Tag("first_name")),
        ("{{ last_name }}", Tag("last_name")),
        ('{{ first_name | default("reader") }}', Tag("first_name", "reader")),
        ("{{first_name|default('dear reader')}}", Tag("first_name", "dear reader")),
        ('{{ first_name | default("") }}', Tag("first_name")),
    ],
)
def test_a_tag_has_a_name_and_perhaps_a_default(text, tag):
    assert parse(f"Hello {text}, good day", field="note") == ("Hello ", tag, ", good day")


@pytest.mark.parametrize(
    "text",
    [
        "{{ email }}",
        "{{ first_name.upper }}",
        "{{ first_name() }}",
        "{{ first_name | upper }}",
        '{{ first_name | default("a") | default("b") }}',
        "{{ 7*7 }}",
        "{{ self.__init__.__globals__ }}",
        "{{ }}",
        "{{",
        "Hello {{ first_name",
        "{{ first_name }",
        "{{ {{ first_name }} }}",
        '{{ first_name | default("{{ last_name }}") }}',
        "{{ First_Name }}",
        "{{\nfirst_name\n|\nfoo }}",
    ],
)
def test_anything_else_is_refused_by_name(text):
    with pytest.raises(Invalid) as refused:
        parse(text, field="note")
    assert refused.value.field == "note"
    assert "{{" in refused.value.message


@given(st.text(alphabet="{}% |()\"'abfirst_name.default", max_size=60))
def test_whatever_is_typed_is_cut_or_refused_and_never_lost(text):
    try:
        pieces = parse(text, field="subject")
    except Invalid:
        assert "{{" in text
    else:
        assert all(isinstance(piece, Tag) or piece in text for piece in pieces)
        assert "{{" not in "".join(piece for piece in pieces if isinstance(piece, str))


def test_without_tags_the_defaults_stand():
    text = 'Dear {{ first_name | default("reader") }}{{ last_name }},'
    assert without_tags(text, field="note") == "Dear reader,"
