"""Modbus/TCP Security: TLS with client certificates, and the role in them (MB-TCP-Security v2.1).

Rules of this file: no client without a certificate of the site's authority reaches a byte of Modbus; a role says who
the client is, its address still has to be in that group's networks.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

ROLE = x509.ObjectIdentifier("1.3.6.1.4.1.50316.802.1")
UTF8_STRING = 0x0C


@dataclass(frozen=True, slots=True)
class Security:
    """The secure listener.

    Attributes:
        host, port: where it listens; the registered port is 802.
        certificate, key: PEM files of this server.
        client_ca: PEM file of the authority whose clients may connect.
        roles: role in the client's certificate -> name of a client group.
    """

    host: str
    port: int
    certificate: Path
    key: Path
    client_ca: Path
    roles: Mapping[str, str]

    def context(self) -> ssl.SSLContext:
        """Mutual TLS, 1.2 or newer (clause 8).

        Raises:
            OSError: a file cannot be read or is no certificate or key; the text names it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise OSError(f"modbus: certificate {self.certificate} and key {self.key}: {_why(error)}") from error
        try:
            context.load_verify_locations(self.client_ca)
        except OSError as error:
            raise OSError(f"modbus: client_ca {self.client_ca}: {_why(error)}") from error
        return context


def role_of(certificate: bytes | None) -> str:
    """The role in a client's certificate (DER), "" when it has none that can be read (clause 8.3)."""
    if not certificate:
        return ""
    try:
        extension = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_oid(ROLE)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return ""
    value = extension.value
    data = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    if len(data) < 2 or data[0] != UTF8_STRING or data[1] != len(data) - 2 or data[1] > 0x7F:
        return ""
    try:
        return data[2:].decode()
    except UnicodeDecodeError:
        return ""


def _why(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (reason or str(error)).lower().replace("_", " ")
