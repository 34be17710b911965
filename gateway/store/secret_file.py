"""A password in a file, changed so that a crash at any moment leaves both the old and the new one on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.store.files import sync_folder


class SecretFile:
    """`FILE` holds the password in use, `FILE.new` one that the product may or may not have taken."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.pending = self.path.with_name(self.path.name + ".new")

    @property
    def has_pending(self) -> bool:
        """Whether a change was begun and not finished."""
        return self.pending.exists()

    def read_pending(self) -> str:
        """The password of an unfinished change; raises OSError or UnicodeDecodeError."""
        return self.pending.read_text(encoding="utf-8").rstrip("\r\n")

    def prepare(self, password: str) -> None:
        """Writes the new one beside (0600), owned as the old one.

        Raises:
            OSError: it cannot be written or given to the owner of the old one; nothing is left behind.
            FileExistsError: an earlier change was not finished.
        """
        owner = self.path.stat()
        descriptor = os.open(self.pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(password.encode() + b"\n")
                file.flush()
                now = os.fstat(file.fileno())
                if (now.st_uid, now.st_gid) != (owner.st_uid, owner.st_gid):
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                os.fsync(file.fileno())
            sync_folder(self.path.parent)
        except OSError:
            self.pending.unlink(missing_ok=True)
            raise

    def commit(self) -> None:
        """The product has taken it: the new one replaces the old one, with the old one's mode."""
        self.pending.chmod(self.path.stat().st_mode & 0o777)
        os.replace(self.pending, self.path)  # noqa: PTH105  # atomic on purpose
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """The product has not taken it."""
        self.pending.unlink(missing_ok=True)
