import unicodedata

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import Invalid
from newsletter.kit.addresses import keyed_hash, parse, parse_mailbox

LABEL = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
NEARLY = st.builds(
    "{}@{}".format,
    st.text("abzABZ019.+-_'=!\"é\u200b @", min_size=1, max_size=12),
    st.builds(
        "{}.{}".format,
        st.lists(LABEL, min_size=1, max_size=3).map(".".join),
        st.sampled_from(["org", "ORG", "co", "xn--p1ai", "local", "test", "invalid", "arpa", "1a", "a1", "c", ""]),
    ),
)


@pytest.mark.parametrize(
    ("text", "shown", "normal"),
    [
        ("a@example.org", "a@example.org", "a@example.org"),
        ("  Ana.Lind@Example.ORG \n", "Ana.Lind@example.org", "ana.lind@example.org"),
        ("Info@example.org", "Info@example.org", "info@example.org"),
        ("a+weekly@example.org", "a+weekly@example.org", "a+weekly@example.org"),
        ("jörg@bücher.example.org", "jörg@xn--bcher-kva.example.org", "jörg@xn--bcher-kva.example.org"),
        ("reader@example.test", "reader@example.test", "reader@example.test"),
        ("o'brien@example.org", "o'brien@example.org", "o'brien@example.org"),
    ],
)
def test_an_address_has_one_normal_form_and_keeps_its_owners_spelling(text, shown, normal):
    address = parse(text)
    assert (address.shown, address.normal) == (shown, normal)
    assert address.domain == normal.split("@")[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "@example.org",
        "a@",
        "a@localhost",
        "a@example",
        "a b@example.org",
        "a@example..org",
        ".a@example.org",
        "a@b@example.org",
        "a@-example.org",
        "a@example.local",
        "a@example.invalid",
        "Ana <a@example.org>",
        "a@[127.0.0.1]",
        '"a b"@example.org',
        "a@exa--mple.org\r\nRCPT TO:<b@example.org>",
        "a\r\n@example.org",
        "a\0@example.org",
        "a\u2028@example.org",
        "a\udc80@example.org",
        f"{'a' * 250}@example.org",
        f"a@{'b' * 64}.org",
        f"{'ß' * 122}@example.org",
    ],
)
def test_what_no_server_takes_is_refused_with_a_sentence_that_can_be_shown(text):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.field == "email"
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


@given(NEARLY)
def test_the_quick_check_agrees_with_the_full_one(text):
    try:
        full = validate_email(
            unicodedata.normalize("NFC", text.strip()), check_deliverability=False, test_environment=True
        )
    except EmailNotValidError:
        with pytest.raises(Invalid):
            parse(text)
    else:
        assert parse(text).normal == f"{full.local_part.casefold()}@{full.ascii_domain.lower()}"


@given(st.one_of(NEARLY, st.text(max_size=40), st.emails()))
def test_any_text_is_an_address_or_invalid_and_the_normal_form_is_a_fixed_point(text):
    try:
        address = parse(text)
    except Invalid:
        return
    assert parse(address.normal).normal == address.normal
    assert parse(address.shown) == address
    assert not any(unicodedata.category(character).startswith(("C", "Z")) for character in address.shown)


def test_a_masked_address_shows_one_letter_and_the_domain():
    assert parse("ana.lind@example.org").masked == "a…@example.org"


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("desk@example.org", "", "desk@example.org"),
        ("Foreign Brief <desk@example.org>", "Foreign Brief", "desk@example.org"),
        ('"Brief, Foreign" <desk@example.org>', "Brief, Foreign", "desk@example.org"),
    ],
)
def test_a_sender_is_a_name_and_an_address(text, name, shown):
    found, address = parse_mailbox(text)
    assert (found, address.shown) == (name, shown)


@pytest.mark.parametrize(
    "text", ["", "Desk", "Desk <>", "Desk\r\nBcc: a@example.org <desk@example.org>", "Desk\u2028 <desk@example.org>"]
)
def test_a_sender_that_could_break_a_header_is_refused(text):
    with pytest.raises(Invalid) as caught:
        parse_mailbox(text)
    assert caught.value.message.isprintable()


def test_a_hash_depends_on_the_key_and_the_text_alone():
    first = keyed_hash(b"k" * 32, "a@example.org")
    assert first == keyed_hash(b"k" * 32, "a@example.org")
    assert len({first, keyed_hash(b"l" * 32, "a@example.org"), keyed_hash(b"k" * 32, "b@example.org")}) == 3
    assert len(first) == 32
