"""What belongs to this installation alone: the key of the page's sessions, and its self-made certificate.

Rules of this file: both are made once, readable by the gateway only (0600), and never part of a backup: who holds a
backup must not be able to sign a session. `wipe` removes them with the rest of the state.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gateway.store.files import replace

SESSION_KEY = "page.key"
CERTIFICATE = "page.pem"
KEY_BYTES = 32
NOT_IN_BACKUP = frozenset({SESSION_KEY, CERTIFICATE})


class Installation:
    """Reads and makes them in a state directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate_path = folder / CERTIFICATE

    def session_key(self) -> bytes:
        """The key of this installation, made at the first call; raises OSError."""
        path = self._folder / SESSION_KEY
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key = b""
        if len(key) != KEY_BYTES:
            key = secrets.token_bytes(KEY_BYTES)
            replace(path, key, 0o600)
        path.chmod(0o600)
        return key

    def certificate(self) -> bytes | None:
        """Certificate and key as PEM, None when there is none yet; raises OSError."""
        try:
            return self.certificate_path.read_bytes()
        except FileNotFoundError:
            return None

    def save_certificate(self, pem: bytes) -> None:
        """Keeps certificate and key; raises OSError."""
        replace(self.certificate_path, pem, 0o600)
        os.chmod(self.certificate_path, 0o600)  # noqa: PTH101
