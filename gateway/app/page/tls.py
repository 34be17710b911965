"""The certificate of the page: the site's own, or one that this installation makes for itself at its first start.

Rules of this file: a self-made one stays as long as it fits, for people compare its fingerprint; it is made anew when
the address or the names have changed, or when it is about to end.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.app.load import Site
from gateway.app.modbus import key_file
from gateway.config.web import WebConfig, WebTls
from gateway.core.errors import ConfigError
from gateway.store.installation import Installation

LIVES = timedelta(days=5 * 365)
RENEWED = timedelta(days=30)
SKEW = timedelta(days=1)
log = structlog.get_logger("page")


@dataclass(frozen=True, slots=True)
class PageTls:
    """What the listener presents, and the fingerprint a person can compare."""

    context: ssl.SSLContext
    fingerprint: str


def page_tls(site: Site, config: WebConfig, wall: float) -> PageTls | None:
    """The listener's certificate, None for plain http.

    Raises:
        ConfigError: the site's certificate or key cannot be used, at its key in config.yaml.
        OSError: the state directory does not take a self-made one.
    """
    if config.tls is None:
        return None
    if isinstance(config.tls, WebTls):
        return _sites_own(site, config.tls)
    installation = Installation(site.state_dir)
    now = datetime.fromtimestamp(wall, UTC)
    names = _names(config)
    pem = installation.certificate()
    if pem is None or not _fits(pem, names, now):
        pem = _made(names, now)
        installation.save_certificate(pem)
        log.warning("page.certificate_made", fingerprint=_fingerprint(pem), names=", ".join(names))
    return PageTls(_context(installation.certificate_path, None), _fingerprint(pem))


def _sites_own(site: Site, tls: WebTls) -> PageTls:
    certificate = site.loaded.path(tls.certificate)
    try:
        return PageTls(
            _context(certificate, key_file(site.loaded, tls.key, ("web", "tls", "key"))), _of_file(certificate)
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fault = site.loaded.document.fault(("web", "tls", "certificate"), f"cannot be used with its key: {reason}")
        raise ConfigError([fault]) from error


def _context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _names(config: WebConfig) -> list[str]:
    """What browsers will call it; an address for all interfaces says nothing, so the host's own names are added."""
    host = ipaddress.ip_address(config.host)
    own = [] if host.is_unspecified else [config.host]
    return list(dict.fromkeys([*own, *config.names, socket.gethostname().lower(), "localhost", "127.0.0.1"]))


def _fits(pem: bytes, names: Sequence[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        serialization.load_pem_private_key(pem, password=None)
    except (ValueError, x509.ExtensionNotFound):
        return False
    known = {str(name.value) for name in found}
    return set(names) <= known and certificate.not_valid_after_utc - RENEWED > now


def _made(names: Sequence[str], now: datetime) -> bytes:
    """Certificate and key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"EV gateway {names[0]}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIVES)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + private


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _fingerprint(pem: bytes) -> str:
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def _of_file(path: Path) -> str:
    return _fingerprint(path.read_bytes())
