import base64
import types

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from newsletter.delivery.dkim import OVERSIGNED, SIGNED, Signer, SigningKey, private_key, signing_keys
from newsletter.errors import ConfigError

RSA = rsa.generate_private_key(65537, 2048)
ED25519 = Ed25519PrivateKey.generate()
MESSAGE = (
    b"From: The Desk\r\n <desk@example.org>\r\nTo:  ana@example.org \r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n"
    b"List-Unsubscribe: <https://example.org/u/1>,\r\n <mailto:b@example.org>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nMIME-Version: 1.0\r\nX-Other: not signed\r\n"
    b"\r\nbody  with   blanks \r\n\r\n\r\n"
)


def pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def record(key):
    public = key.public_key()
    if isinstance(key, Ed25519PrivateKey):
        return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public.public_bytes_raw())
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)


class VerifyKey:
    """PyNaCl's verifier over `cryptography`: dkimpy wants the former, which is not a dependency of ours."""

    def __init__(self, key, encoder=None):
        self.key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))

    def verify(self, data, signature):
        try:
            self.key.verify(signature, data)
        except InvalidSignature as error:
            raise dkim.nacl.exceptions.BadSignatureError from error
        return data


@pytest.fixture(autouse=True)
def nacl(monkeypatch):
    exceptions = types.SimpleNamespace(BadSignatureError=type("Bad", (Exception,), {}), ValueError=ValueError)
    parts = {"signing": types.SimpleNamespace(VerifyKey=VerifyKey), "exceptions": exceptions}
    parts["encoding"] = types.SimpleNamespace(Base64Encoder=None)
    monkeypatch.setattr(dkim, "nacl", types.SimpleNamespace(**parts), raising=False)


def signer(*keys, selectors=("spring", "autumn")):
    return Signer(tuple(map(SigningKey, keys, selectors)), "example.org")


def verifies(message, key):
    asked = []

    def dns(name, timeout=5):
        asked.append(name)
        return record(key)

    right = dkim.verify(message, dnsfunc=dns)
    assert asked in ([b"spring._domainkey.example.org."], [])
    return right


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_somebody_elses_verifier_accepts_the_signature(key):
    signed = signer(key).sign(MESSAGE, at=1_763_650_800)
    assert signed.endswith(MESSAGE)
    assert verifies(signed, key)
    assert max(map(len, signed.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"body", b"bodies"),
        (b"u/1>", b"u/2>"),
        (b"One-Click", b"No-Click"),
        (b"The Desk", b"The Boss"),
        (b"Subject:", b"From: evil@example.org\r\nSubject:"),
        (b"Subject:", b"Subject: Another\r\nSubject:"),
        (b"Subject:", b"Reply-To: evil@example.org\r\nSubject:"),
        (b"Subject:", b"To: evil@example.org\r\nSubject:"),
        (b"Subject:", b"Date: Sun, 1 Jan 2006 00:00:00 +0000\r\nSubject:"),
        (b"MIME-Version: 1.0", b"MIME-Version: 1.1"),
    ],
)
def test_a_change_of_the_body_or_of_a_signed_header_breaks_it(key, before, after):
    signed = signer(key).sign(MESSAGE, at=1_763_650_800)
    head, _, rest = signed.partition(b"From: The Desk")
    assert not verifies(head + (b"From: The Desk" + rest).replace(before, after), key)


def test_folding_and_other_headers_may_change():
    signed = signer(RSA).sign(MESSAGE, at=1)
    changed = signed.replace(b"Desk\r\n <desk", b"Desk <desk").replace(b"X-Other: not", b"X-Other: never")
    assert changed != signed
    assert verifies(changed, RSA)


def test_the_headers_of_one_click_unsubscribing_are_covered():
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"mime-version", b"content-type"} <= SIGNED


def test_the_same_message_and_instant_give_the_same_bytes():
    one = signer(RSA)
    assert one.sign(MESSAGE, at=7) == one.sign(MESSAGE, at=7)


def test_the_settings_make_a_signer_for_the_senders_domain_or_none(settings):
    assert Signer.of(settings, "desk@news.example.org") is None
    keyed = settings.model_copy(update={"dkim_key": pem(ED25519).replace("\n", "\\n")})
    assert Signer.of(keyed, "desk@news.example.org").domain == "news.example.org"
    named = keyed.model_copy(update={"dkim_domain": "example.org", "dkim_selector": "spring"})
    made = Signer.of(named, "desk@news.example.org")
    assert (made.domain, [key.selector for key in made.keys]) == ("example.org", ["spring"])


@pytest.mark.parametrize("text", ["no key", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_a_key_that_cannot_sign_mail_names_the_setting(text):
    with pytest.raises(ConfigError, match="NEWSLETTER_DKIM_KEY"):
        private_key(text)


def test_two_keys_make_two_signatures_and_each_verifies_by_itself():
    signed = signer(RSA, ED25519).sign(MESSAGE, at=1_763_650_800)
    assert signed.endswith(MESSAGE)
    assert signed.count(b"DKIM-Signature:") == 2
    records = {b"spring._domainkey.example.org.": record(RSA), b"autumn._domainkey.example.org.": record(ED25519)}
    for index in range(2):
        assert dkim.DKIM(signed).verify(idx=index, dnsfunc=lambda name, timeout=5: records[name])


def test_two_keys_have_a_selector_each(settings):
    keyed = settings.model_copy(update={"dkim_key": pem(RSA) + pem(ED25519), "dkim_selector": "spring  autumn"})
    assert [(key.selector, key.algorithm) for key in signing_keys(keyed)] == [
        ("spring", "rsa-sha256"),
        ("autumn", "ed25519-sha256"),
    ]
    for selectors in ("spring", "spring spring", "spring autumn winter"):
        with pytest.raises(ConfigError, match=r"NEWSLETTER_DKIM_SELECTOR.* each of the 2 keys"):
            signing_keys(keyed.model_copy(update={"dkim_selector": selectors}))


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_the_public_half_is_what_a_record_holds(key):
    assert record(key).endswith(b"p=" + SigningKey(key, "spring").published.encode())


def test_what_a_reader_sees_of_the_header_is_signed_once_more_than_it_occurs():
    tags = signer(RSA).sign(MESSAGE, at=1).partition(b"h=")[2].partition(b";")[0]
    names = [name.strip() for name in tags.split(b":")]
    assert {b"from", b"to", b"subject", b"date", b"reply-to"} <= set(OVERSIGNED)
    for name in OVERSIGNED:
        assert names.count(name) == MESSAGE.lower().count(b"\r\n" + name + b":") + MESSAGE.lower().startswith(name) + 1


def test_many_different_messages_of_one_send_all_verify():
    one = signer(RSA)
    for n in range(100):
        changed = MESSAGE.replace(b"ana@", b"reader%d@" % n).replace(b"u/1>", b"u/%d>" % n)
        assert verifies(one.sign(changed, at=1), RSA)


@pytest.mark.parametrize("body", [b"", b"\r\n\r\n", b"one line without an end", b"x\r\n\r\n\r\n", b".\r\n \t\r\n"])
def test_bodies_of_every_ending_verify(body):
    assert verifies(signer(RSA).sign(MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body, at=1), RSA)
