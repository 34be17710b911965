"""A trial certificate authority for tests of Modbus/TCP Security."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.servers.modbus.security import ROLE


class Authority:
    """A trial certificate authority that writes PEM files into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, ca=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool = False,
        role: bytes | None = None,
        days: int = 10,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=20))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if role is not None:
            builder = builder.add_extension(x509.UnrecognizedExtension(ROLE, role), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str, role: bytes | None = None, days: int = 10) -> tuple[Path, Path]:
        """Certificate and key files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, role=role, days=days)
        pem = serialization.Encoding.PEM
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(pem))
        private = serialization.PrivateFormat.PKCS8
        files[1].write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
        return files


def utf8(text: str) -> bytes:
    return bytes((0x0C, len(text.encode()))) + text.encode()


def client_context(authority: Authority, files: tuple[Path, Path] | None) -> ssl.SSLContext:
    """What a client of this authority connects with; without files it has no certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.load_verify_locations(authority.file)
    if files is not None:
        made.load_cert_chain(*files)
    return made
