"""The state directory: addresses.yaml, session tokens, and the lock that keeps a second instance out.

Rules of this file: a file is replaced whole (written beside, synced, renamed) and its last generation is kept;
what cannot be read is set aside and never taken for empty.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from gateway.addressing import Entry
from gateway.config.check import Strict, validate
from gateway.config.strict_yaml import read_yaml
from gateway.core.errors import ConfigError, Fault

ADDRESSES = "addresses.yaml"
_HEAD = """\
# Addresses of the EVCE gateway: which block belongs to which name. Append-only; part of every backup.
# A block is never moved and never given to another name. Edit only with `evce-gateway addresses ...`.
version: 1
blocks:
"""


class _Row(Strict):
    source: str
    kind: str
    name: str
    id: str | None = None
    block: int


class _AddressFile(Strict):
    version: int
    blocks: list[_Row] | None = None


class Store:
    """Everything that outlives the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Makes the directory (0700) and takes the lock.

        Raises:
            ConfigError: it cannot be used, or another gateway runs on it.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("w", encoding="ascii")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _fault(self.folder, "state_dir", "another gateway is already running on it") from None
        except OSError as error:
            raise _fault(self.folder, "state_dir", f"cannot be used: {error.strerror}") from error

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- addresses -----------------------------------------------------------------------------------------------

    def load_addresses(self) -> list[Entry]:
        """The blocks given so far; an unreadable file falls back to its last generation.

        Raises:
            ConfigError: neither can be read: starting anew would move addresses.
        """
        path = self.folder / ADDRESSES
        if not path.exists():
            return []
        entries, faults = _read(path)
        if not faults:
            return entries
        backup = path.with_suffix(".yaml.1")
        if backup.exists():
            older, backup_faults = _read(backup)
            if not backup_faults:
                os.replace(path, path.with_suffix(".yaml.broken"))  # noqa: PTH105  # atomic on purpose
                return older
        raise ConfigError([*faults, Fault(str(path), 0, 0, "", "restore it from a backup; addresses must not move")])

    def save_addresses(self, entries: Iterable[Entry]) -> None:
        """Writes all blocks; raises OSError when the disk does not take it (the old file is then intact)."""
        rows = [f"  - {{{_row(entry)}}}\n" for entry in entries]
        path = self.folder / ADDRESSES
        if path.exists():
            backup = path.with_suffix(".yaml.1.new")
            backup.unlink(missing_ok=True)
            os.link(path, backup)
            os.replace(backup, path.with_suffix(".yaml.1"))  # noqa: PTH105
        _replace(path, _HEAD + "".join(rows), 0o600)

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
                _replace(path, token, 0o600)
        except OSError:
            return

    def _token(self, source: str) -> Path:
        return self.folder / "tokens" / source


def _row(entry: Entry) -> str:
    names = f"source: {_text(entry.source)}, kind: {_text(entry.kind)}, name: {_text(entry.name)}"
    return f"{names}, id: {_text(entry.id)}, block: {entry.block}"


def _text(value: str | None) -> str:
    """A JSON string is a YAML double-quoted string."""
    return "null" if value is None else json.dumps(value)


def _read(path: Path) -> tuple[list[Entry], list[Fault]]:
    document = read_yaml(path)
    if document.faults:
        return [], document.faults
    model, faults = validate(_AddressFile, document)
    if model is None:
        return [], faults
    return [Entry(row.source, row.kind, row.name, row.id, row.block) for row in model.blocks or []], []


def _replace(path: Path, text: str, mode: int) -> None:
    """Writes beside, syncs, renames, syncs the folder."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)  # noqa: PTH105
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _fault(folder: Path, path: str, text: str) -> ConfigError:
    return ConfigError([Fault(str(folder), 0, 0, path, text)])
