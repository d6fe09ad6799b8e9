import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.articles.captions import MAX_CAPTION, is_credited, is_useful_alt, take_apart


@pytest.mark.parametrize(
    ("text", "caption", "credit"),
    [
        (
            "Top photo credit: Premier Ada Korr (now an envoy) in 2021. REUTERS/Jo Doe TPX IMAGES OF THE DAY",
            "Premier Ada Korr (now an envoy) in 2021.",
            "REUTERS/Jo Doe",
        ),
        (
            "Guards of the 12th unit board a ferry in Port Amal, Jan. 3, 2026. (Coast Guard photo by Sgt. R. Gale)",
            "Guards of the 12th unit board a ferry in Port Amal, Jan. 3, 2026.",
            "Coast Guard photo by Sgt. R. Gale",
        ),
        (
            "Ministers pose at the summit in Tarsk July 6, 2026. REUTERS/Mo Hale//File Photo",
            "Ministers pose at the summit in Tarsk July 6, 2026.",
            "REUTERS/Mo Hale/File Photo",
        ),
        ("A crowd (AP Photo/Jo Doe)", "A crowd", "AP Photo/Jo Doe"),
        ("A frigate leaves Port Amal (Navy photo).", "A frigate leaves Port Amal", "Navy photo"),
        ("A crowd gathers. Jo Doe/AFP via Getty Images", "A crowd gathers.", "Jo Doe/AFP via Getty Images"),
        ("A bridge over the Amal. Photo: Jo Doe", "A bridge over the Amal.", "Jo Doe"),
        ("A bridge. Photo by Jo Doe/The Desk.", "A bridge.", "Photo by Jo Doe/The Desk"),
        ("Top image credit: Jo Doe / Shutterstock.com", "", "Jo Doe / Shutterstock.com"),
        ("Jo Doe / Shutterstock", "", "Jo Doe / Shutterstock"),
        ("© Jo Doe", "", "© Jo Doe"),
        ("FILE PHOTO: Cranes stand still. REUTERS/Jo Doe", "Cranes stand still.", "REUTERS/Jo Doe"),
    ],
)
def test_a_credit_is_taken_out_of_the_caption(text, caption, credit):
    assert take_apart(text) == (caption, credit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The AP office in Tarsk was searched.",
        "A crowd gathers (photos of it are on display).",
        "The bridge, photographed in 2019",
    ],
)
def test_a_caption_without_credit_stays_as_it_is(text):
    assert take_apart(text) == (text, "")


def test_a_long_caption_behind_a_label_is_no_credit():
    text = "Families walk home along the dyke after a day of waiting for the ferry that did not come, May 29, 2026."
    assert take_apart(f"Top photo credit: {text}") == (text, "")


def test_lines_that_end_in_a_credit_are_told_from_prose():
    assert is_credited("Guards board a ferry. (Coast Guard photo by R. Gale)")
    assert is_credited("Top photo credit: Premier Ada Korr")
    assert not is_credited("The photograph had been taken by a neighbour.")


@pytest.mark.parametrize(
    "alt",
    [
        "",
        "260103-m-ab123-10111-scaled",
        "IMG_2041",
        "IMG 2041",
        "Screenshot 2026-01-03 at 11.20.33",
        "port amal harbour.jpg",
        "mali",
        "Featured image",
        "Photo credit: Jo Doe",
        "Can the river treaty be saved?",
    ],
)
def test_an_alt_text_that_helps_nobody_is_flagged(alt):
    assert not is_useful_alt(alt, headline="Can the river treaty be saved?")


@pytest.mark.parametrize(
    "alt", ["Ada Korr and Mo Hale", "A ferry leaves Port Amal at dusk", "Карта дельты реки", "3 guards"]
)
def test_an_alt_text_that_describes_is_kept(alt):
    assert is_useful_alt(alt, headline="Can the river treaty be saved?")


@given(st.text(max_size=3000))
def test_any_text_comes_apart(text):
    caption, credit = take_apart(text)
    assert len(caption) + len(credit) <= MAX_CAPTION
