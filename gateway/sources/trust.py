"""How a product's certificate is recognised.

Rules of this file: a certificate is judged inside the TLS handshake, so that a product that is not trusted is sent
neither a password nor a token, not even the end of the handshake; both ends of its validity are judged whatever it is
recognised by; a refusal says what was presented, so that a person can decide.
"""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.core.errors import Unreachable
from gateway.core.value import shorten
from gateway.sources.certificate import Certificate, fingerprint_of, made_for, read_certificate

LOOK_S = 5.0
HTTPS_PORT = 443
SEE = "see `evce-gateway trust`"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_DATES = {9, 10}
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""

_OLD = "TLS is too old: at least TLS 1.2 is needed, and the product does not offer it"
_NO_TLS = "what answers there does not speak TLS"
_REASONS = {
    "UNSUPPORTED_PROTOCOL": _OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
    "NO_PROTOCOLS_AVAILABLE": _OLD,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "WRONG_SSL_VERSION": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "TLS failed: the product shares no cipher with this machine",
    "NO_SHARED_CIPHER": "TLS failed: the product shares no cipher with this machine",
}


@dataclass(frozen=True, slots=True)
class Trust:
    """How a certificate is recognised: a PEM file, a SHA-256 fingerprint (64 hex digits), or not at all."""

    ca_file: Path | None = None
    fingerprint: str | None = None
    insecure: bool = False

    def certificates(self) -> list[bytes]:
        """The DER form of every certificate in the file; none without a file.

        Raises:
            OSError: the file cannot be read or holds no certificate.
        """
        if self.ca_file is None:
            return []
        try:
            found = [ssl.PEM_cert_to_DER_cert(pem.decode()) for pem in _PEM.findall(self.ca_file.read_bytes())]
        except ValueError as error:
            raise OSError(errno.EINVAL, f"{self.ca_file} holds no usable certificate: {error}") from error
        if not found:
            raise OSError(errno.EINVAL, f"{self.ca_file} holds no certificate (PEM, -----BEGIN CERTIFICATE-----)")
        return found


def _verified(certificates: bytes) -> ssl.SSLContext:
    """Verifies what OpenSSL has to verify: signatures, purpose and dates of the whole chain.

    A device signs its own certificate, often for a name nobody calls it by. A certificate of the file is enough
    then, whoever signed it; its name does not count, so names are left to `TlsCheck`.
    """
    context = ssl.create_default_context(cadata=certificates or None)
    context.check_hostname = not certificates
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class NotTrustedError(ssl.SSLCertVerificationError):
    """The certificate presented is not one to send a password to; the text says why."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(slots=True)
class Progress:
    """How far a connection came; set as `PROGRESS` in the task that makes it."""

    handshake: bool = False


PROGRESS: ContextVar[Progress | None] = ContextVar("PROGRESS", default=None)


class TlsCheck:
    """Judges the certificate of every new connection to one product; `certificate` is the newest that was trusted."""

    def __init__(self, trust: Trust, url: str, wall: Callable[[], float]) -> None:
        """Reads the certificate file.

        Raises:
            OSError: the file cannot be read or is no certificate.
        """
        parts = urlsplit(url)
        self._url, self._host = url, parts.hostname or ""
        self._trust, self._wall = trust, wall
        self._own = trust.certificates()
        self._known = [fingerprint_of(der) for der in self._own]
        self._context = self._new_context() if parts.scheme == "https" else None
        self.certificate: Certificate | None = None

    def context(self) -> ssl.SSLContext | bool:
        """What aiohttp takes as `ssl` for the next request.

        It is a new one when the certificate has ended since it was judged: connections are kept per context, so
        this ends the use of those made before.
        """
        if self._context is None:
            return True
        if self.certificate is not None and not self._trust.insecure and self.certificate.out_of_date(self._wall()):
            self._context, self.certificate = self._new_context(), None
        return self._context

    def _new_context(self) -> ssl.SSLContext:
        trust, judge = self._trust, self._judge
        context = _unverified() if trust.insecure or trust.fingerprint else _verified(b"".join(self._own))

        class Judged(ssl.SSLObject):
            """Ends the handshake with an error when the certificate is not trusted."""

            def do_handshake(self) -> None:
                progress = PROGRESS.get() or Progress()
                progress.handshake = True
                super().do_handshake()
                judge(self.getpeercert(binary_form=True) or b"")
                progress.handshake = False

        context.sslobject_class = Judged
        return context

    def _judge(self, der: bytes) -> None:
        try:
            shown = read_certificate(der)
        except ValueError as error:
            if self._trust.insecure:
                return
            raise NotTrustedError(f"certificate cannot be read: {shorten(str(error))}") from error
        if not self._trust.insecure and (reason := self._objection(shown)):
            raise NotTrustedError(reason)
        self.certificate = shown

    def _objection(self, shown: Certificate) -> str:
        pin = self._trust.fingerprint
        if pin is not None and shown.fingerprint != f"sha256:{pin.lower()}":
            return f"certificate changed: expected sha256:{pin.lower()}, got {shown.fingerprint}; {SEE}"
        if reason := shown.out_of_date(self._wall()):
            return reason
        if self._trust.ca_file is None or shown.fingerprint in self._known or made_for(shown, self._host):
            return ""
        names = ", ".join(shown.names) or "no name at all"
        return f"certificate is made for {shorten(names)}, not for {self._host}; got {shown.fingerprint}; {SEE}"

    async def explain(self, error: Exception) -> str:
        """Why a handshake was refused; OpenSSL does not tell what it saw, so dates and fingerprint are looked at."""
        if isinstance(error, NotTrustedError) or not isinstance(error, ssl.SSLCertVerificationError):
            return str(error)
        text = f"certificate refused: {error.verify_message}"
        try:
            shown = await look(self._url)
        except (Unreachable, ValueError):
            return text
        if error.verify_code in _DATES and (reason := shown.out_of_date(self._wall())):
            return reason
        file = self._trust.ca_file
        holds = f", {file.name} holds {', '.join(self._known)}" if file is not None else ""
        return f"{text}: got {shown.fingerprint}{holds}; {SEE}"


async def look(url: str) -> Certificate:
    """What a product presents; nothing is sent but the handshake, and nothing is trusted.

    Raises:
        Unreachable: nobody answers in time, or not with TLS 1.2 or newer.
        ValueError: what was presented is no certificate.
    """
    try:
        return read_certificate(await _shake_hands(url, _unverified()))
    except TimeoutError:
        raise Unreachable(f"no TLS connection within {LOOK_S:g} s") from None
    except ssl.SSLError as error:
        raise Unreachable(tls_text(error)) from error
    except OSError as error:
        raise Unreachable(f"cannot connect: {error.strerror or error}") from error


async def objection_to(trust: Trust, url: str, wall: Callable[[], float]) -> str:
    """Why the gateway would send nothing to a product, "" when it would; here nothing is sent either way.

    Raises:
        OSError: the certificate file cannot be used, or nobody answers any more.
    """
    check = TlsCheck(trust, url, wall)
    try:
        await _shake_hands(url, check.context())
    except ssl.SSLCertVerificationError as error:
        return await check.explain(error)
    return ""


async def _shake_hands(url: str, context: ssl.SSLContext | bool) -> bytes:
    """One handshake and the end of the connection; returns what was presented (DER)."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or HTTPS_PORT
    async with asyncio.timeout(LOOK_S):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    presented = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return bytes(presented or b"")


def tls_text(error: ssl.SSLError) -> str:
    """A failed handshake in words."""
    reason = error.reason or ""
    return _REASONS.get(reason) or f"TLS failed: {reason.replace('_', ' ').lower() or shorten(str(error))}"
