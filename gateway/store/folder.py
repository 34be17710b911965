"""The state directory: addresses.yaml, session tokens, and the lock that keeps a second instance out.

Rules of this file: a file is replaced whole (written beside, synced, renamed) and its last generation is kept;
what cannot be read is set aside and never taken for empty; only the holder of the lock changes anything.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from gateway.addressing import Entry
from gateway.core.errors import ConfigError, Fault
from gateway.store.addresses import Addresses, addresses_text, read_addresses
from gateway.store.files import link, replace

ADDRESSES = "addresses.yaml"
TOKENS = "tokens"


class StateInUse(ConfigError):
    """Another gateway holds the lock."""


class Store:
    """Everything that outlives the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Makes the directory (0700) and takes the lock.

        Raises:
            ConfigError: it cannot be used (StateInUse: another gateway runs on it).
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w", encoding="ascii")
        except OSError as error:
            raise _fault(self.folder, "state_dir", f"cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            text = "another gateway is already running on it"
            raise StateInUse(_fault(self.folder, "state_dir", text).faults) from None
        except OSError as error:
            lock.close()
            raise _fault(self.folder, "state_dir", f"cannot be locked: {error.strerror}") from error
        self._lock = lock

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- addresses -----------------------------------------------------------------------------------------------

    def load_addresses(self) -> Addresses:
        """The blocks given so far; an unreadable or missing file falls back to its last generation.

        The holder of the lock keeps what could not be read as `.broken` and restores the file at once.

        Raises:
            ConfigError: no generation can be read: starting anew would move addresses.
        """
        path, backup = self.folder / ADDRESSES, self.folder / (ADDRESSES + ".1")
        try:
            here, older = path.exists(), backup.exists()
        except OSError as error:
            raise _fault(self.folder, "state_dir", f"cannot be read: {error.strerror}") from error
        if not here and not older:
            return Addresses()
        saved, faults = read_addresses(path)
        if not faults:
            return saved
        if older:
            saved, backup_faults = read_addresses(backup)
            if not backup_faults:
                self._restore(path, backup, keep=here)
                return saved
        raise ConfigError([*faults, Fault(str(path), 0, 0, "", "restore it from a backup; addresses must not move")])

    def _restore(self, path: Path, backup: Path, *, keep: bool) -> None:
        if self._lock is None:
            return
        try:
            if keep:
                link(path, path.with_name(path.name + ".broken"))
            replace(path, backup.read_text(encoding="utf-8"), 0o600)
        except OSError as error:
            raise _fault(self.folder, ADDRESSES, f"cannot be restored: {error.strerror}") from error

    def save_addresses(self, entries: Iterable[Entry], certificates: Mapping[str, str] | None = None) -> None:
        """Writes all blocks; raises OSError when the disk does not take it (the old file is then intact)."""
        path = self.folder / ADDRESSES
        if path.exists():
            link(path, path.with_name(path.name + ".1"))
        replace(path, addresses_text(entries, certificates or {}), 0o600)

    # -- session tokens ------------------------------------------------------------------------------------------

    def load_token(self, source: str) -> str | None:
        """The token of a session that may still be open at the product."""
        try:
            return self._token(source).read_text(encoding="ascii") or None
        except (OSError, UnicodeDecodeError):
            return None

    def save_token(self, source: str, token: str | None) -> None:
        """Keeps a token (0600) or forgets it; a full disk costs only the polite logout after a crash."""
        path = self._token(source)
        try:
            if token is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(mode=0o700, exist_ok=True)
                replace(path, token, 0o600)
        except OSError:
            return

    def _token(self, source: str) -> Path:
        return self.folder / TOKENS / source


def _fault(folder: Path, path: str, text: str) -> ConfigError:
    return ConfigError([Fault(str(folder), 0, 0, path, text)])
