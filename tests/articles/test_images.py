from newsletter.articles.images import choose, in_markup, number
from newsletter.articles.story import RawImage

FERRY = "https://meridian.example/images/ferry.jpg"


def test_pictures_are_found_with_the_captions_of_their_figures():
    markup = """<p><img src="/a.jpg" alt="A ferry leaves" width="1200" height="675px"></p>
        <figure><img src="/b.jpg"><figcaption>The <b>harbour</b>.</figcaption></figure><img src="/c.jpg">"""
    assert in_markup(markup) == [
        RawImage(url="/a.jpg", alt="A ferry leaves", width=1200, height=675),
        RawImage(url="/b.jpg", caption="The harbour."),
        RawImage(url="/c.jpg"),
    ]


def test_a_picture_that_a_script_would_load_is_found():
    markup = '<img src="data:image/gif;base64,R0lGOD" data-src="/real.jpg"><img src="data:image/png;base64,AA">'
    assert [image.url for image in in_markup(markup)] == ["/real.jpg"]


def test_smileys_portraits_and_spacers_are_no_pictures():
    markup = (
        '<img class="wp-smiley" src="/s.png"><img class="author-avatar" src="/jo.jpg"><img class="spacer" src="/x.gif">'
    )
    assert in_markup(markup + '<img src="/assets/logo-wide.svg"><img src="/sprite.png">') == []


def test_what_cannot_be_shown_is_never_chosen():
    useless = [
        RawImage(url=""),
        RawImage(url="/relative.jpg"),
        RawImage(url="javascript:alert(1)"),
        RawImage(url="data:image/png;base64,AA"),
        RawImage(url="https://meridian.example/dot.gif", width=1, height=1),
        RawImage(url="https://feeds.feedburner.com/~r/meridian/~4/x"),
        RawImage(url="https://meridian.example/" + "x" * 2000),
    ]
    assert choose(useless, headline="") is None
    chosen = choose([*useless, RawImage(url=FERRY)], headline="")
    assert chosen is not None
    assert chosen.url == FERRY


def test_words_for_the_same_picture_are_brought_together():
    chosen = choose(
        [
            RawImage(url=FERRY, credit="Jo Marchetti/Harbour Agency"),
            RawImage(url="https://meridian.example/images/other.jpg", alt="Something else altogether"),
            RawImage(
                url="https://meridian.example/images/ferry-300x200.jpg?w=300", alt="A ferry leaves at dusk", width=300
            ),
            RawImage(url=FERRY + "?width=980", caption="The last ferry. (Photo by Jo Marchetti)"),
        ],
        headline="Ferries stop",
    )
    assert chosen is not None
    assert (chosen.url, chosen.alt, chosen.alt_ok) == (FERRY, "A ferry leaves at dusk", True)
    assert (chosen.caption, chosen.credit) == ("The last ferry.", "Jo Marchetti/Harbour Agency")


def test_pictures_that_differ_in_more_than_their_size_are_different():
    server = "https://cdn.example/image.jpg"
    chosen = choose(
        [RawImage(url=server + "?id=1&width=900"), RawImage(url=server + "?id=2&width=900", alt="Not of this one")],
        headline="",
    )
    assert chosen is not None
    assert chosen.alt == ""


def test_widths_are_read_or_left_out():
    assert [number(text) for text in ("1200", " 675px", "12.5", "100%", "auto", "", None, "9" * 30)] == [
        *(1200, 675, 12),
        *[None] * 5,
    ]
