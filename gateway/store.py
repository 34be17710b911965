"""The state directory: addresses.yaml, session tokens, and the lock that keeps a second instance out.

Rules of this file: a file is replaced whole (written beside, synced, renamed) and its last generation is kept;
what cannot be read is set aside and never taken for empty; only the holder of the lock changes anything.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from pydantic import Field

from gateway.addressing import Entry
from gateway.config.check import Strict, validate
from gateway.config.strict_yaml import read_yaml
from gateway.core.errors import ConfigError, Fault

ADDRESSES = "addresses.yaml"
VERSION = 1
LARGEST_FILE = 64 * 1024 * 1024
_HEAD = """\
# Addresses of the EVCE gateway: which block belongs to which name. Append-only; part of every backup.
# A block is never moved and never given to another name. Do not edit while the gateway runs.
version: {version}
count: {count}
blocks:
"""


class _Row(Strict):
    source: str
    kind: str
    name: str
    id: str | None = None
    block: int = Field(ge=0)


class _AddressFile(Strict):
    version: int
    count: int | None = None
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
            lock = (self.folder / "lock").open("w", encoding="ascii")
        except OSError as error:
            raise _fault(self.folder, "state_dir", f"cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise _fault(self.folder, "state_dir", "another gateway is already running on it") from None
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

    def load_addresses(self) -> list[Entry]:
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
            return []
        entries, faults = _read(path)
        if not faults:
            return entries
        if older:
            entries, backup_faults = _read(backup)
            if not backup_faults:
                self._restore(path, backup, keep=here)
                return entries
        raise ConfigError([*faults, Fault(str(path), 0, 0, "", "restore it from a backup; addresses must not move")])

    def _restore(self, path: Path, backup: Path, *, keep: bool) -> None:
        if self._lock is None:
            return
        try:
            if keep:
                _link(path, path.with_name(path.name + ".broken"))
            _replace(path, backup.read_text(encoding="utf-8"), 0o600)
        except OSError as error:
            raise _fault(self.folder, ADDRESSES, f"cannot be restored: {error.strerror}") from error

    def save_addresses(self, entries: Iterable[Entry]) -> None:
        """Writes all blocks; raises OSError when the disk does not take it (the old file is then intact)."""
        rows = [f"  - {{{_row(entry)}}}\n" for entry in entries]
        path = self.folder / ADDRESSES
        if path.exists():
            _link(path, path.with_name(path.name + ".1"))
        _replace(path, _HEAD.format(version=VERSION, count=len(rows)) + "".join(rows), 0o600)

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
    """A YAML double-quoted string on one line; half a surrogate pair cannot stand in a file and becomes U+FFFD."""
    return "null" if value is None else f'"{"".join(_escape(char) for char in value)}"'


def _escape(char: str) -> str:
    code = ord(char)
    if char in '"\\':
        return "\\" + char
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if char.isprintable():
        return char
    return f"\\U{code:08x}"


def _read(path: Path) -> tuple[list[Entry], list[Fault]]:
    document = read_yaml(path, LARGEST_FILE)
    version = document.data.get("version") if isinstance(document.data, dict) else None
    if isinstance(version, int) and version > VERSION:
        text = f"was written by a newer gateway (version {version}); run that one, or restore a backup"
        raise ConfigError([document.fault(("version",), text)])
    if document.faults:
        return [], document.faults
    model, faults = validate(_AddressFile, document)
    if model is None:
        return [], faults
    rows = model.blocks or []
    if model.count is not None and model.count != len(rows):
        faults.append(document.fault(("count",), f"{model.count} blocks were written, and {len(rows)} are there"))
    names: set[tuple[str, str, str]] = set()
    blocks: set[tuple[str, str, int]] = set()
    for i, row in enumerate(rows):
        name, block = (row.source, row.kind, row.name), (row.source, row.kind, row.block)
        if name in names or block in blocks:
            what = "name" if name in names else "block"
            faults.append(document.fault(("blocks", i, what), f"this {what} stands twice"))
        names.add(name)
        blocks.add(block)
    return [Entry(row.source, row.kind, row.name, row.id, row.block) for row in rows], faults


def _link(path: Path, kept: Path) -> None:
    """Keeps a file under another name, replacing what has that name; `path` itself stays."""
    new = kept.with_name(kept.name + ".new")
    new.unlink(missing_ok=True)
    try:
        os.link(path, new)
    except OSError:  # a file system without hard links
        new.write_bytes(path.read_bytes())
    os.replace(new, kept)  # noqa: PTH105  # atomic on purpose


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
