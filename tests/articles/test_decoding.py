import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.articles.decoding import decode

TEXT = "<t>Çelik’s café “déjà vu”</t>"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT.encode(), ""),
        (TEXT.encode(), "application/rss+xml; charset=iso-8859-1"),  # the server is wrong, the bytes are right
        (codecs.BOM_UTF8 + TEXT.encode(), ""),
        (TEXT.encode("cp1252"), "text/xml; charset=windows-1252"),
        (TEXT.encode("cp1252"), "text/xml; charset=iso-8859-1"),
        (TEXT.encode("cp1252"), "text/xml; charset=utf-8"),  # says UTF-8 and is not
        (TEXT.encode("cp1252"), ""),
        (TEXT.encode("utf-16"), ""),
        (TEXT.encode("utf-16-le"), ""),
        (TEXT.encode("utf-16-be"), ""),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), ""),
    ],
)
def test_the_text_comes_out_whatever_the_bytes_say_they_are(body, content_type):
    assert decode(body, content_type) == TEXT


def test_a_declaration_inside_the_document_is_believed():
    koi8 = "<?xml version='1.0' encoding='koi8-r'?><t>Привет</t>"
    assert decode(koi8.encode("koi8-r")) == koi8
    page = "<html><head><meta charset=shift_jis><title>日本</title>"
    assert decode(page.encode("shift_jis")) == page


def test_one_bad_byte_does_not_spoil_the_rest():
    assert decode("Ünïcode ".encode() + b"it\x92s" + " fïne".encode()) == "Ünïcode it’s fïne"


def test_a_seven_bit_encoding_is_recognised():
    assert decode("日本語".encode("iso-2022-jp"), "text/xml; charset=iso-2022-jp") == "日本語"


@pytest.mark.parametrize(
    "name", ["base64", "hex", "rot13", "punycode", "idna", "undefined", "unicode_escape", "nonsense"]
)
def test_codecs_that_are_no_encoding_of_documents_are_not_used(name):
    assert decode(b"caf\xe9 \\u0041", f"text/xml; charset={name}") == "café \\u0041"


@given(st.binary(), st.sampled_from(["", "charset=utf-16", "charset=gb2312", "charset=cp037", "charset=big5"]))
def test_any_bytes_give_text(body, content_type):
    assert isinstance(decode(body, content_type), str)
