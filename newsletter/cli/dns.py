"""What `newsletter doctor --dns` reads in the DNS: may this sender be believed?

Promise: looks up SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489) of every
sender's domain and the MX of the bounce domain, with a few seconds for each
question; it judges what stands there and sends no mail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import dns.exception
import dns.resolver
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from newsletter.cli.checks import Check, fail, ok, warn
from newsletter.config import Settings
from newsletter.delivery.dkim import signing_keys
from newsletter.errors import ConfigError
from newsletter.publications import Publication

LIFETIME: Final = 4.0


def dns_checks(settings: Settings, found: Sequence[Publication]) -> Iterator[Check]:
    """Look at the domains of every publication's sender."""
    for domain in sorted({one.from_address.rpartition("@")[2] for one in found}):
        yield from _domain(settings, domain)


def _domain(settings: Settings, domain: str) -> Iterator[Check]:
    bounces = settings.bounce_domain or domain
    try:
        yield _spf(bounces, _texts(bounces))
        yield from _signatures(settings, settings.dkim_domain or domain)
        yield _dmarc(domain)
        yield _mx(bounces)
    except dns.exception.DNSException as error:
        yield fail(f"DNS {domain}", f"cannot be asked: {error}", "check this machine's resolver")


def _spf(domain: str, texts: Sequence[str]) -> Check:
    policies = [text for text in texts if text.lower().split(" ")[0] == "v=spf1"]
    name = f"SPF {domain}"
    if not policies:
        return fail(name, "there is no policy", f"add a TXT record at {domain} that names your relay: v=spf1 … -all")
    if len(policies) > 1:
        return fail(name, "there are several policies, so none counts", "keep one TXT record that starts with v=spf1")
    if policies[0].lower().endswith("+all"):
        return fail(name, "allows everybody", "end it with -all or ~all")
    return ok(name, policies[0])


def _signatures(settings: Settings, domain: str) -> Iterator[Check]:
    if not settings.dkim_key:
        yield warn(f"DKIM {domain}", "we do not sign", "set NEWSLETTER_DKIM_KEY unless the relay signs")
        return
    try:
        keys = signing_keys(settings)
    except ConfigError as error:
        yield fail(f"DKIM {domain}", error.message, "see docs/operating.md")
        return
    if all(isinstance(key.private, Ed25519PrivateKey) for key in keys):
        yield warn(f"DKIM {domain}", "there is no RSA key", "add one: many providers do not verify Ed25519 yet")
    for key in keys:
        yield _published(f"{key.selector}._domainkey.{domain}", key.published)


def _published(name: str, key: str) -> Check:
    """Compare the record at ``name`` with the public half of our key."""
    records = [text for text in _texts(name) if "p=" in text]
    advice = f"publish there as TXT: p={key}"
    if not records:
        return fail(f"DKIM {name}", "there is no key", advice)
    published = records[0].partition("p=")[2].partition(";")[0].replace(" ", "")
    if not published:
        return fail(f"DKIM {name}", "the key was withdrawn", advice)
    if published != key:
        return fail(f"DKIM {name}", "it is not the public half of our key", advice)
    return ok(f"DKIM {name}", "it is the public half of our key")


def _dmarc(domain: str) -> Check:
    policies = [text for text in _texts(f"_dmarc.{domain}") if text.startswith("v=DMARC1")]
    if not policies:
        return warn(f"DMARC {domain}", "there is no policy", f"add a TXT record at _dmarc.{domain}: v=DMARC1; p=none")
    return ok(f"DMARC {domain}", policies[0])


def _mx(domain: str) -> Check:
    try:
        answer = dns.resolver.resolve(domain, "MX", lifetime=LIFETIME)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return fail(
            f"MX {domain}", "takes no mail, so bounces are lost", "add an MX record that leads to bounce intake"
        )
    return ok(f"MX {domain}", ", ".join(sorted(str(record.exchange) for record in answer)))


def _texts(name: str) -> list[str]:
    """Return the TXT records of a name, each joined; none when there is none."""
    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=LIFETIME)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return [b"".join(record.strings).decode(errors="replace") for record in answer]
