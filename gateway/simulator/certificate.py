"""Self-signed certificates like the one EVCE makes for its web server; made anew at each start."""

import hashlib
import ipaddress
import ssl
import tempfile
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


def make_certificate(now: datetime | None = None, *, expired: bool = False) -> ServerCertificate:
    """Makes a certificate for 127.0.0.1 and localhost, valid for ten years or ended yesterday."""
    moment = now or datetime.now(UTC)
    start = moment - timedelta(days=30)
    end = moment - timedelta(days=1) if expired else moment + timedelta(days=3650)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "EVCE simulator")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
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
