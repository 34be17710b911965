"""Self-signed certificates like the one EVCE makes for its web server; made anew at each start."""

import hashlib
import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate and its key as PEM, and "sha256:<64 hex>" of the DER form."""

    certificate_pem: str
    key_pem: str
    fingerprint: str

    def load_into(self, context: ssl.SSLContext) -> None:
        """Makes a server context present this certificate to the connections to come."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "server.pem"
            file.touch(mode=0o600)
            file.write_text(self.key_pem + self.certificate_pem, encoding="ascii")
            context.load_cert_chain(file)


NAMES = ("localhost", "127.0.0.1")
TEN_YEARS = 3650.0
AGE = timedelta(days=30)


def make_certificate(
    now: datetime | None = None,
    *,
    expired: bool = False,
    days: float = TEN_YEARS,
    names: Sequence[str] = NAMES,
    subject: str = "EVCE simulator",
    signer: ServerCertificate | None = None,
) -> ServerCertificate:
    """Makes a certificate that is 30 days old.

    Args:
        now: the moment it is made for, the machine's time if not given.
        expired: it ended yesterday, whatever `days` says.
        days: how long it is still valid.
        names: host names and addresses it is made for.
        subject: its common name; a signer needs another one than what it signs.
        signer: who signs it; itself if not given, as EVCE does.
    """
    moment = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    authority, signing_key = (own, key) if signer is None else _authority(signer)
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(authority)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - AGE)
        .not_valid_after(moment + timedelta(days=-1 if expired else days))
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    der = made.public_bytes(serialization.Encoding.DER)
    return ServerCertificate(
        made.public_bytes(serialization.Encoding.PEM).decode("ascii"),
        key_pem.decode("ascii"),
        f"sha256:{hashlib.sha256(der).hexdigest()}",
    )


def _authority(signer: ServerCertificate) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
    key = serialization.load_pem_private_key(signer.key_pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the signer's key is none of this file's")
    return x509.load_pem_x509_certificate(signer.certificate_pem.encode()).subject, key


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
