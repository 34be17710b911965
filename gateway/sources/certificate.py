"""A certificate taken apart: its fingerprint, whom it is made for, and when."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a product presented.

    Attributes:
        fingerprint: "sha256:" and 64 hex digits of the DER form.
        not_before: start of its validity, Unix time.
        not_after: its end.
        subject: as RFC 4514 writes it, as are the issuer and all text from the product: not cleaned.
        issuer: who signed it.
        names: host names and addresses it is made for.
        der: the certificate itself.
    """

    fingerprint: str
    not_before: float
    not_after: float
    subject: str
    issuer: str
    names: tuple[str, ...]
    der: bytes = field(repr=False)

    @property
    def pem(self) -> str:
        """The form a `ca_file` has."""
        return ssl.DER_cert_to_PEM_cert(self.der)

    def out_of_date(self, now: float) -> str:
        """Why its time is not now, with both dates; "" when it is."""
        begins, ends = date(self.not_before), date(self.not_after)
        if now >= self.not_after:
            return f"certificate expired {ends} (valid from {begins})"
        if now < self.not_before:
            return f"certificate is not valid before {begins} (until {ends}), and this machine says {date(now)}"
        return ""


def date(moment: float) -> str:
    """A Unix time as a day in UTC."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def fingerprint_of(der: bytes) -> str:
    """As `tls: {fingerprint: ...}` has it."""
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def read_certificate(der: bytes) -> Certificate:
    """Takes a certificate apart.

    Raises:
        ValueError: it is none.
    """
    read = x509.load_der_x509_certificate(der)
    return Certificate(
        fingerprint_of(der),
        read.not_valid_before_utc.timestamp(),
        read.not_valid_after_utc.timestamp(),
        read.subject.rfc4514_string(),
        read.issuer.rfc4514_string(),
        tuple(_names(read)),
        der,
    )


def _names(read: x509.Certificate) -> Iterator[str]:
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return
    yield from names.get_values_for_type(x509.DNSName)
    yield from map(str, names.get_values_for_type(x509.IPAddress))


def made_for(certificate: Certificate, host: str) -> bool:
    """Whether a certificate is made for a host: an address, a name, or a name below a wildcard's."""
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host)) in certificate.names
    wanted = host.lower().rstrip(".")
    wildcard = f"*.{wanted.partition('.')[2]}"
    return any(name.lower() in (wanted, wildcard) for name in certificate.names)
