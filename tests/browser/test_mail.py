"""The weekly in a real browser: readable by axe, within the window, in the theme's fonts and colours."""

import random
import re

import pytest
from factories import editions as make

from newsletter.editions import Identity, compose, letter
from newsletter.editions.theme import UI_STACK
from newsletter.publications.brand import DEFAULT, checked

pytestmark = pytest.mark.browser

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
ISSUES = {
    "week": make.week(),
    "bare": make.view(
        (
            "Europe",
            [make.placement(1, byline="", published_at=None, dek="", kicker_kind="", kicker_region="", image_url="")],
        )
    ),
    "worst": make.view(
        *(
            (
                name,
                [
                    make.placement(
                        n, lead=n == 0, headline=words * 40, dek=words * 60, byline=words * 12, image_credit=words * 30
                    )
                    for n in range(start, start + 10)
                ],
            )
            for start, name, words in (
                (0, "Wörter" * 30, "Unabhängigkeit"),
                (10, "الشرق الأوسط", "شرق "),
                (20, "亚洲", "海👩\u200d🚀"),
            )
        ),
        title="Aneverendingtitle" * 12,
        note="Donaudampfschifffahrt" * 20,
    ),
}
DOCUMENTS = {
    f"{kind} {name} {direction}": (kind, issue, direction)
    for kind in ("mail", "web")
    for name, issue in ISSUES.items()
    for direction in ("ltr", "rtl")
}


def document(name):
    kind, issue, direction = DOCUMENTS[name]
    composed = compose(issue, make.publication(direction=direction), make.BASE_URL)
    return composed.html if kind == "mail" else composed.web_html


@pytest.fixture
def show(browser):
    """Open a document at a width, with pictures drawn here or without any."""
    contexts = []

    def shown(html, width=1280, *, pictures=True):
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.route("**/*", _drawn if pictures else lambda route: route.abort())
        page.set_content(html, wait_until="load")
        return page

    yield shown
    for context in contexts:
        context.close()


def _drawn(route):
    """Answer with a hill under a sun."""
    draw = random.Random(route.request.url)
    hills = " ".join(f"L{x} {draw.randint(450, 700)}" for x in range(0, 1201, 120))
    route.fulfill(
        content_type="image/svg+xml",
        body=f'<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="800"><rect width="1200" height="800" '
        f'fill="#c9b48a"/><circle cx="{draw.randint(200, 1000)}" cy="300" r="70" fill="#fff4d6"/>'
        f'<path d="M0 800 {hills} L1200 800 Z" fill="#2c3526"/></svg>',
    )


def violations(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=WCAG).response["violations"]
    return [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]]


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def computed(page, selector, name):
    return page.eval_on_selector(selector, f"node => getComputedStyle(node)['{name}']")


def names(stack):
    return [name.strip(" \"'") for name in stack.split(",")]


def without_style_elements(html):
    """The mail as a program shows it that drops them; what is inlined counts."""
    return re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def rgb(colour):
    return f"rgb({int(colour[1:3], 16)}, {int(colour[3:5], 16)}, {int(colour[5:7], 16)})"


def resized(page, *widths):
    """Give the page each of the widths in turn."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        yield width


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if "worst" not in name or name.endswith("ltr")])
def test_axe_finds_nothing(show, name):
    page = show(document(name))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in resized(page, 1280, 375):
            assert violations(page) == [], f"{width} px, {scheme}"


def test_axe_finds_nothing_in_a_notice(show):
    facts = {"confirm_url": f"{make.BASE_URL}/confirm/AQIqY29uZmlybQ"}
    page = show(letter("email/notices/confirm", Identity.of(make.publication()), facts).html, 375)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    assert overflow(page) == 0


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_wider_than_the_window(show, name):
    page = show(document(name))
    assert {width: overflow(page) for width in resized(page, 320, 375, 600)} == {320: 0, 375: 0, 600: 0}


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.startswith("mail")])
def test_without_style_elements_it_still_holds(show, name):
    page = show(without_style_elements(document(name)))
    for _width in resized(page, 320, 375, 1280):
        assert overflow(page) == 0
        assert page.eval_on_selector("table.paper", "node => node.offsetWidth") <= 600
    assert violations(page) == []


def test_without_pictures_it_still_holds(show):
    page = show(document("mail week ltr"), pictures=False)
    for _width in resized(page, 1280, 375):
        assert overflow(page) == 0
        assert violations(page) == []


FONTS = {
    "h1": ("head_stack", "42px", 1.1),
    "h2.headline": ("head_stack", "30px", 1.2),
    "h3.story": ("head_stack", "20px", 1.28),
    "p.dek": ("body_stack", "16px", 1.5),
    "p.standfirst": ("body_stack", "18px", 1.55),
    "td.note p": ("body_stack", "17px", 1.6),
    ".kicker": (UI_STACK, "11px", 1.4),
    ".meta": (UI_STACK, "13px", 1.45),
    "a.button": (UI_STACK, "15px", 1.2),
}


@pytest.mark.parametrize("brand", [{}, {"head_font": "palatino", "body_font": "system"}])
def test_fonts_are_the_themes(show, brand):
    html = compose(make.week(), make.publication(brand=brand), make.BASE_URL).html
    page = show(without_style_elements(html))
    for selector, (stack, size, line) in FONTS.items():
        wanted = getattr(checked(brand), stack, stack)
        assert names(computed(page, selector, "fontFamily")) == names(wanted), selector
        assert computed(page, selector, "fontSize") == size, selector
        height = line * float(size.removesuffix("px"))
        assert float(computed(page, selector, "lineHeight").removesuffix("px")) == pytest.approx(height, abs=0.05)


COLOURS = {
    "td.lead": ("color", "ink"),
    ".meta": ("color", "ink_soft"),
    ".kicker": ("color", "link"),
    "td.note a": ("color", "link"),
    "h3.story a": ("color", "ink"),
    "a.button": ("color", "on_accent"),
    "body": ("backgroundColor", "page"),
    "table.paper": ("backgroundColor", "paper"),
    "td.band": ("backgroundColor", "accent"),
}


def test_colours_are_the_brands_in_both_schemes(show):
    page = show(document("mail week ltr"))
    for scheme, suffix in (("light", ""), ("dark", "_dark")):
        page.emulate_media(color_scheme=scheme)
        found = {selector: computed(page, selector, name) for selector, (name, _) in COLOURS.items()}
        assert found == {selector: rgb(getattr(DEFAULT, token + suffix)) for selector, (_, token) in COLOURS.items()}


def test_cards_stand_side_by_side_and_stack_on_a_phone(show):
    def places(page):
        photo, tale = (
            page.eval_on_selector(selector, "node => node.getBoundingClientRect().toJSON()")
            for selector in ("div.photo", "div.tale")
        )
        return photo, tale

    photo, tale = places(show(document("mail week ltr")))
    assert photo["right"] < tale["left"]
    assert photo["top"] == tale["top"]
    photo, tale = places(show(document("mail week rtl")))
    assert tale["right"] < photo["left"]
    photo, tale = places(show(document("mail week ltr"), 375))
    assert photo["bottom"] <= tale["top"]
    assert photo["width"] == tale["width"] == 335
