import pytest

from newsletter.delivery.pace.providers import BY_SLUG, CONSUMER, Provider, of_host, worth_asking


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("aspmx.l.google.com.", Provider.GMAIL),
        ("ALT1.ASPMX.L.GOOGLE.COM", Provider.GMAIL),
        ("aspmx2.googlemail.com", Provider.GMAIL),
        ("smtp.google.com", Provider.GMAIL),
        ("meridian-example.mail.protection.outlook.com", Provider.MICROSOFT),
        ("hotmail-com.olc.protection.outlook.com", Provider.MICROSOFT),
        ("x.a-v1.mx.microsoft", Provider.MICROSOFT),
        ("mta5.am0.yahoodns.net", Provider.YAHOO),
        ("mx01.mail.icloud.com", Provider.APPLE),
        ("mx.example.org", Provider.OTHER),
        ("notgoogle.com", Provider.OTHER),
        ("google.com.example.org", Provider.OTHER),
        (".", Provider.OTHER),
    ],
)
def test_a_mail_exchanger_tells_the_provider(host, provider):
    assert of_host(host) is provider


def test_no_domain_is_in_two_tables():
    domains = [domain for each in CONSUMER.values() for domain in each]
    assert len(domains) == len(set(domains))
    assert all(domain == domain.lower() and "." in domain for domain in domains)


@pytest.mark.parametrize("domain", ["gmail.com", "Hotmail.com", "readers.example", "example.org", "mail.example.com"])
def test_what_is_known_or_set_aside_is_not_asked_for(domain):
    assert not worth_asking(domain)


def test_what_only_the_dns_can_tell_is_asked_for():
    assert worth_asking("university.edu")
    assert worth_asking("example.edu.au")


def test_numbers_are_for_ever():
    """They are stored with every delivery."""
    assert {provider.slug: int(provider) for provider in Provider} == {
        "other": 0, "gmail": 1, "yahoo": 2, "microsoft": 3, "apple": 4,
    }  # fmt: skip
    assert BY_SLUG["gmail"].label == "Gmail"
