"""The doctor, with a real mail server, a real Valkey and a real name server on this machine."""

import socket
import threading

import dns.flags
import dns.message
import dns.resolver
import dns.rrset
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from factories import cli

from newsletter.delivery.dkim import SigningKey
from newsletter.kit import smtpd


def _found(done, name):
    return next(line for line in done.lines if line["name"] == name)


@pytest.fixture
def broker(tmp_path):
    with cli.broker(tmp_path):
        yield


@pytest.fixture
def name_server(monkeypatch):
    """A name server that knows the records that a test puts into it."""
    records = {}
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                query, client = server.recvfrom(4096)
            except OSError:
                return
            asked = dns.message.from_wire(query)
            reply = dns.message.make_response(asked, recursion_available=True)
            question = asked.question[0]
            known = records.get((str(question.name).rstrip("."), question.rdtype.name))
            if known:
                reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *known))
            server.sendto(reply.to_wire(), client)

    threading.Thread(target=serve, daemon=True).start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = server.getsockname()[1]
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    yield records
    server.close()


def test_each_line_says_what_was_found_and_what_to_do(run):
    done = run("doctor")
    assert done.code == 1
    assert "fail  relay: none is set, so every send is refused" in done.out
    assert "set NEWSLETTER_SMTP_URL" in done.out


def test_a_wrong_setting_is_the_only_line(run):
    done = run("doctor", "--json", log_format="xml")
    assert done.code == 1
    (line,) = done.lines
    assert line["health"] == "fail"
    assert "NEWSLETTER_LOG_FORMAT" in line["found"]


def test_a_good_database_is_told_with_its_kind(run):
    done = run("doctor", "--json")
    assert _found(done, "database")["found"].split()[0] in ("sqlite", "postgresql")
    assert _found(done, "migrations")["health"] == "ok"


def test_a_missing_database_does_not_stop_the_other_checks(run, tmp_path):
    done = run("doctor", "--json", data_dir=str(tmp_path / "new"), database_url="")
    assert _found(done, "database")["advice"].startswith("run: newsletter migrate")
    assert _found(done, "relay")["health"] == "fail"
    assert not (tmp_path / "new").exists()


def test_an_unreachable_database_does_not_stop_the_other_checks(run):
    done = run("doctor", "--json", database_url="postgresql://nobody@127.0.0.1:1/nothing")
    assert "cannot be reached" in _found(done, "database")["found"]
    assert _found(done, "relay")["health"] == "fail"


def test_a_database_without_tables_says_migrate(run, tmp_path):
    (tmp_path / "empty.db").touch()
    done = run("doctor", "--json", database_url=f"sqlite:///{tmp_path / 'empty.db'}")
    assert _found(done, "migrations")["advice"] == "run: newsletter migrate"


def test_a_dead_broker_is_a_warning_since_work_goes_on(run):
    done = run("doctor", "--json")
    assert _found(done, "broker")["health"] == "warn"
    assert "cannot be asked" in _found(done, "workers")["found"]


def test_a_broker_without_workers_is_a_failure(run, broker):
    done = run("doctor", "--json")
    assert _found(done, "broker")["health"] == "ok"
    assert _found(done, "workers")["health"] == "fail"
    assert _found(done, "beat")["health"] == "warn"


def test_a_relay_is_greeted(run):
    with smtpd.Server(smtpd.Handler()) as server:
        done = run("doctor", "--json", smtp_url=f"smtp://127.0.0.1:{server.port}")
    assert _found(done, f"relay 127.0.0.1:{server.port}")["health"] == "ok"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("smtp://127.0.0.1:1", "cannot be reached"),
        ("smtp+starttls://127.0.0.1:{port}", "does not offer STARTTLS"),
        ("smtp://u:p@127.0.0.1:{port}?auth=magic", "auth must be"),
    ],
)
def test_a_relay_that_cannot_be_used_says_why_and_hides_the_password(run, url, reason):
    with smtpd.Server(smtpd.Handler()) as server:
        done = run("doctor", "--json", smtp_url=url.format(port=server.port))
    (line,) = [line for line in done.lines if line["name"].startswith("relay")]
    assert line["health"] == "fail"
    assert reason in line["found"]
    assert ":p@" not in done.out


@pytest.mark.parametrize(
    ("url", "health"),
    [("http://127.0.0.1:8000", "warn"), ("http://news.example.org", "fail"), ("https://news.example.org", "ok")],
)
def test_the_base_url_should_be_https(run, url, health):
    assert _found(run("doctor", "--json", base_url=url), "base URL")["health"] == health


def test_a_generated_key_is_fine_for_one_machine_and_not_for_several(run, environment):
    sqlite = environment["NEWSLETTER_DATABASE_URL"].startswith("sqlite")
    line = _found(run("doctor", "--json", secret_key=""), "secret key")
    assert line["health"] == ("ok" if sqlite else "warn")
    assert _found(run("doctor", "--json"), "secret key")["found"] == "set by NEWSLETTER_SECRET_KEY"


def test_an_empty_newsroom_is_told_what_to_make(run):
    done = run("doctor", "--json")
    assert "newsletter publication create" in _found(done, "publications")["advice"]
    assert "newsletter staff create" in _found(done, "staff")["advice"]


def test_a_publication_has_its_line(run, publication):
    assert _found(run("doctor", "--json"), f"publication {publication}")["health"] == "ok"


def test_dns_is_only_asked_when_asked_for(run, publication, name_server):
    assert not [line for line in run("doctor", "--json").lines if line["name"].startswith("SPF")]


def test_a_domain_without_records_is_told_which_to_add(run, publication, name_server):
    done = run("doctor", "--dns", "--json")
    assert "v=spf1" in _found(done, "SPF example.org")["advice"]
    assert _found(done, "DMARC example.org")["health"] == "warn"
    assert _found(done, "MX example.org")["health"] == "fail"
    assert _found(done, "DKIM example.org")["found"] == "we do not sign"


def test_a_domain_in_order_is_in_order(run, publication, name_server):
    name_server["bounces.example.org", "TXT"] = ['"unrelated"', '"v=spf1 a:mail.example.org " "-all"']
    name_server["bounces.example.org", "MX"] = ["10 mail.example.org."]
    name_server["_dmarc.example.org", "TXT"] = ['"v=DMARC1; p=none"']
    key = rsa.generate_private_key(65537, 2048)
    published = SigningKey(key, "newsletter").published
    parts = f'"v=DKIM1; k=rsa; p={published[:200]}" "{published[200:]}"'
    name_server["newsletter._domainkey.example.org", "TXT"] = [parts]
    done = run("doctor", "--dns", "--json", bounce_domain="bounces.example.org", dkim_key=pem(key))
    for name in (
        *("SPF bounces.example.org", "MX bounces.example.org"),
        *("DMARC example.org", "DKIM newsletter._domainkey.example.org"),
    ):
        assert _found(done, name)["health"] == "ok", name
    assert _found(done, "SPF bounces.example.org")["found"] == "v=spf1 a:mail.example.org -all"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (['"v=spf1 -all"', '"v=spf1 +all"'], "several"),
        (['"v=spf1 +all"'], "allows everybody"),
        (['"v=spf10 -all"'], "there is no policy"),
    ],
)
def test_a_policy_that_does_not_work_is_named(run, publication, name_server, texts, found):
    name_server["example.org", "TXT"] = texts
    line = _found(run("doctor", "--dns", "--json"), "SPF example.org")
    assert line["health"] == "fail"
    assert found in line["found"]


def pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ('"v=DKIM1; p="', "the key was withdrawn"),
        ('"v=DKIM1; k=ed25519; p=AAAA"', "it is not the public half of our key"),
        (None, "there is no key"),
    ],
)
def test_a_key_that_does_not_verify_our_mail_is_named(run, publication, name_server, record, found):
    if record:
        name_server["newsletter._domainkey.example.org", "TXT"] = [record]
    done = run("doctor", "--dns", "--json", dkim_key=pem(Ed25519PrivateKey.generate()))
    line = _found(done, "DKIM newsletter._domainkey.example.org")
    assert (line["health"], line["found"]) == ("fail", found)
    assert _found(done, "DKIM example.org")["found"] == "there is no RSA key"


def test_a_key_that_cannot_sign_is_named(run, publication, name_server):
    assert (
        "NEWSLETTER_DKIM_KEY" in _found(run("doctor", "--dns", "--json", dkim_key="a key"), "DKIM example.org")["found"]
    )
