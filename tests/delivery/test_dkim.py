import base64
import types

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from newsletter.delivery.dkim import SIGNED, Signer, private_key
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
    signed = Signer(key, "spring", "example.org").sign(MESSAGE, at=1_763_650_800)
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
        (b"MIME-Version: 1.0", b"MIME-Version: 1.1"),
    ],
)
def test_a_change_of_the_body_or_of_a_signed_header_breaks_it(key, before, after):
    signed = Signer(key, "spring", "example.org").sign(MESSAGE, at=1_763_650_800)
    head, _, rest = signed.partition(b"From: The Desk")
    assert not verifies(head + (b"From: The Desk" + rest).replace(before, after), key)


def test_folding_and_other_headers_may_change():
    signed = Signer(RSA, "spring", "example.org").sign(MESSAGE, at=1)
    changed = signed.replace(b"Desk\r\n <desk", b"Desk <desk").replace(b"X-Other: not", b"X-Other: never")
    assert changed != signed
    assert verifies(changed, RSA)


def test_the_headers_of_one_click_unsubscribing_are_covered():
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"mime-version", b"content-type"} <= SIGNED


def test_the_same_message_and_instant_give_the_same_bytes():
    signer = Signer(RSA, "spring", "example.org")
    assert signer.sign(MESSAGE, at=7) == signer.sign(MESSAGE, at=7)


def test_the_settings_make_a_signer_for_the_senders_domain_or_none(settings):
    assert Signer.of(settings, "desk@news.example.org") is None
    keyed = settings.model_copy(update={"dkim_key": pem(ED25519).replace("\n", "\\n")})
    assert Signer.of(keyed, "desk@news.example.org").domain == "news.example.org"
    named = keyed.model_copy(update={"dkim_domain": "example.org", "dkim_selector": "spring"})
    signer = Signer.of(named, "desk@news.example.org")
    assert (signer.domain, signer.selector) == ("example.org", "spring")


@pytest.mark.parametrize("text", ["no key", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_a_key_that_cannot_sign_mail_names_the_setting(text):
    with pytest.raises(ConfigError, match="NEWSLETTER_DKIM_KEY"):
        private_key(text)
