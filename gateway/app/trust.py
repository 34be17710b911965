"""What a product presents as its certificate, and what a configuration makes of it; nobody logs in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.app.connect import trust_of
from gateway.config import SourceOutline
from gateway.sources import Certificate, look, objection_to


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate and why it is not trusted: "" when it is, None while the configuration says nothing usable."""

    certificate: Certificate
    objection: str | None
    out_of_date: str


async def look_at(source: SourceOutline, folder: Path, wall: Callable[[], float]) -> Shown:
    """Connects, and once more as the gateway does when there is a `tls`; nothing is sent beyond the handshakes.

    Raises:
        Unreachable: nobody answers, or not with TLS.
        ValueError: what was presented is no certificate.
    """
    certificate = await look(source.url)
    objection = None
    if source.tls is not None:
        try:
            objection = await objection_to(trust_of(source.tls, folder), source.url, wall)
        except OSError as error:
            objection = f"tls: {error.strerror or error}"
    return Shown(certificate, objection, certificate.out_of_date(wall()))
