import re

import pytest
from factories.publications import publication
from hypothesis import given
from hypothesis import strategies as st

from newsletter import publications
from newsletter.errors import Invalid
from newsletter.publications import Brand
from newsletter.publications.brand import FONTS, MIN_CONTRAST, PAIRS, checked, contrast, nearest_passing

colours = st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}")


def test_every_pair_of_the_default_brand_is_legible_in_both_schemes():
    brand = Brand()
    for scheme in ("", "_dark"):
        for words, surfaces in PAIRS:
            for surface in surfaces:
                assert contrast(getattr(brand, words + scheme), getattr(brand, surface + scheme)) >= MIN_CONTRAST


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)  # the standard's well-known near miss


def test_a_brand_keeps_only_what_differs_from_the_defaults(session):
    made = publication(session, brand={"accent": "#004488", "ink": Brand().ink})
    assert made.brand == {"accent": "#004488"}
    assert Brand.of(made).accent == "#004488"
    assert Brand.of(made).paper == Brand().paper


def test_an_illegible_colour_is_refused_with_the_nearest_shade_that_passes():
    with pytest.raises(Invalid) as refusal:
        checked({"link": "#ffcc00"})
    assert refusal.value.field == "brand.link"
    shade = re.findall(r"#[0-9a-f]{6}", refusal.value.message)[-1]
    assert checked({"link": shade}).link == shade


def test_a_button_whose_words_vanish_is_refused():
    with pytest.raises(Invalid, match="on_accent") as refusal:
        checked({"accent": "#ffe08a"})
    assert refusal.value.field == "brand.on_accent"


@given(colours, colours)
def test_the_nearest_shade_always_passes(words, background):
    shade = nearest_passing(words, (background,))
    assert shade is not None
    assert contrast(shade, background) >= MIN_CONTRAST


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"accent": "red"}, "brand.accent"),
        ({"accent": "#8c1c1c;}"}, "brand.accent"),
        ({"accent": 5}, "brand.accent"),
        ({"colour": "#000000"}, "brand.colour"),
        ({"head_font": "Comic Sans"}, "brand.head_font"),
        ({"logo_url": "javascript:alert(1)", "logo_alt": "x"}, "brand.logo_url"),
        ({"logo_url": "https://example.org/logo.png"}, "brand.logo_alt"),
        ({"logo_url": "https://example.org/logo.png", "logo_alt": "Meridian"}, "brand.logo_width"),
        ({"logo_width": 9000}, "brand.logo_width"),
        ({"logo_width": True}, "brand.logo_width"),
    ],
)
def test_a_wrong_value_names_its_field(values, field):
    with pytest.raises(Invalid) as refusal:
        checked(values)
    assert refusal.value.field == field


def test_fonts_are_stacks_with_a_generic_family_at_the_end():
    for name, stack in FONTS.items():
        assert stack.rpartition(", ")[2] in ("serif", "sans-serif"), name
    assert Brand(head_font="charter").head_stack == FONTS["charter"]


def test_a_wrong_brand_changes_nothing(database):
    with database.transaction() as session:
        publication(session)
    with pytest.raises(Invalid), database.transaction() as session:
        publications.update(session, publications.get(session, "weekly"), name="Changed", brand={"ink": "#eeeeee"})
    with database.read() as session:
        assert publications.get(session, "weekly").name == "The Meridian Weekly"
