import pytest

from newsletter.articles.kickers import Kicker, is_kicker, read


@pytest.mark.parametrize(
    ("kicker", "labels", "expected"),
    [
        ("Analysis | Middle East", [], Kicker("Analysis", "Middle East")),
        (" Analysis|Middle East ", [], Kicker("Analysis", "Middle East")),
        ("Asia-Pacific | Opinion", [], Kicker("Opinion", "Asia-Pacific")),
        ("Middle East", [], Kicker("", "Middle East")),
        ("Reporting", ["Africa"], Kicker("Reporting", "Africa")),
        ("", ["Analysis | Africa", "News"], Kicker("Analysis", "Africa")),
        ("", ["Uncategorized", "Politics", "Opinion", "Europe"], Kicker("Opinion", "Europe")),
        ("", ["Featured", "Trade policy"], Kicker("", "Trade policy")),
        ("", ["Uncategorized", ""], Kicker("", "")),
        ("", [], Kicker("", "")),
        ("Essay | Fisheries", ["Europe"], Kicker("Essay", "Fisheries")),
    ],
)
def test_a_kicker_comes_apart_into_kind_and_region(kicker, labels, expected):
    assert read(kicker, labels) == expected


@pytest.mark.parametrize("line", ["Analysis | Middle East", "Fisheries | Europe", "Blog|Global"])
def test_a_kicker_is_recognised_among_other_lines(line):
    assert is_kicker(line)


@pytest.mark.parametrize(
    "line", ["Analysis", "Left | Right", "He said yes. | Europe", "Europe | " + "x" * 60, "a | b | Europe"]
)
def test_other_lines_are_no_kickers(line):
    assert not is_kicker(line)


def test_a_kicker_fits_its_column():
    assert len(read("Analysis | " + "x" * 500).region) == 120
