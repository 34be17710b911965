"""One archive of what makes a site the same site again, and its careful unpacking.

Rules of this file: a copy is taken of every file before anything is written, databases through SQLite's own backup;
no session, password or private key ever gets in; an archive is believed only after every member was checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from gateway.core.errors import GatewayError
from gateway.store.generation import GENERATION
from gateway.store.history_file import HISTORY
from gateway.store.installation import NOT_IN_BACKUP

FORMAT = 1
MANIFEST = "manifest.json"
LARGEST_MANIFEST = 4 * 1024 * 1024
LARGEST_FILE = 2 * 1024**3
LARGEST_TOTAL = 8 * 1024**3
MOST_FILES = 10_000
DEEPEST = 8
_SKIPPED = (".new", ".broken", "-wal", "-shm", "-journal", ".sock")
_KEY = b"PRIVATE KEY-----"
_LARGEST_KEY_FILE = 256 * 1024
_CHUNK = 1024 * 1024


class ArchiveFault(GatewayError):
    """The archive cannot be made or must not be believed."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself.

    `config` is the member that is config.yaml; `outside` are members that stood outside its folder, with their paths;
    `by_hand` says in words what is not in the archive on purpose. `files` are (size, SHA-256) by member.
    """

    version: str
    made: str
    config: str
    outside: Mapping[str, str]
    by_hand: Sequence[str]
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)


class Written(NamedTuple):
    """How many files an archive holds, and what it has to do without, in sentences."""

    files: int
    left_out: list[str]


def holds_key(path: Path) -> bool:
    """Whether a file holds a private key in PEM form."""
    if path.stat().st_size > _LARGEST_KEY_FILE:
        return False
    return _KEY in path.read_bytes()


def state_files(folder: Path, secrets: Sequence[Path]) -> list[Path]:
    """Every file of a state directory that has to survive, databases first.

    What a database hands over to a file is then at worst in both, and never in neither. `secrets` are left out, and
    so is the second copy of the command state, which would be newer than the database's copy.
    """
    hidden = {path.resolve() for path in secrets}
    found: list[Path] = []
    for base, folders, names in os.walk(folder):
        if Path(base) == folder:
            folders[:] = [name for name in folders if name != "tokens"]
            names = [name for name in names if name not in {"lock", GENERATION, *NOT_IN_BACKUP}]  # noqa: PLW2901
        for name in names:
            path = Path(base) / name
            with contextlib.suppress(FileNotFoundError):
                regular = stat.S_ISREG(path.lstat().st_mode) and not name.endswith(_SKIPPED)
                if regular and path.resolve() not in hidden and not holds_key(path):
                    found.append(path)
    return sorted(found, key=lambda path: (path.suffix != ".db", str(path)))


def write_archive(target: Path, files: Mapping[str, Path], manifest: Manifest) -> Written:
    """Writes the archive (0600) whole or not at all; a damaged history is left out, for it must not cost the rest.

    Raises:
        ArchiveFault: a database cannot be copied, or is damaged.
        OSError: something cannot be read or written.
    """
    left_out: list[str] = []
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
        copies: dict[str, Path] = {}
        for number, (member, path) in enumerate(files.items()):
            copy = Path(folder) / str(number)
            with contextlib.suppress(FileNotFoundError):  # it was replaced or removed since it was listed
                try:
                    _copy(path, copy)
                except ArchiveFault as error:
                    if path.name != HISTORY:
                        raise
                    left_out.append(f"{error}; the histories are not in this backup, all else is")
                else:
                    copies[member] = copy
        listed = {member: [copy.stat().st_size, _digest(copy)] for member, copy in copies.items()}
        head = {
            "format": FORMAT,
            "version": manifest.version,
            "made": manifest.made,
            "config": manifest.config,
            "outside": dict(manifest.outside),
            "by_hand": list(manifest.by_hand),
            "files": listed,
        }
        new = target.with_name(target.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
                    _add(
                        tar, MANIFEST, json.dumps(head, indent=1, ensure_ascii=False).encode("utf-8", "surrogateescape")
                    )
                    for member, copy in copies.items():
                        _add(tar, member, copy, mode=files[member].stat().st_mode if files[member].exists() else 0o600)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, target)  # noqa: PTH105
        finally:
            new.unlink(missing_ok=True)
    return Written(len(copies), left_out)


def _copy(path: Path, copy: Path) -> None:
    if path.suffix != ".db":
        copy.write_bytes(path.read_bytes())
        return
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(copy)) as into,
        ):
            source.backup(into)
            (said,) = into.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise ArchiveFault(f"{path.name} cannot be copied: {error}") from error
    if said != "ok":
        raise ArchiveFault(f"{path.name} is damaged: {said}")


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path, mode: int = 0o600) -> None:
    info = tarfile.TarInfo(name)
    info.mode = mode & 0o644 if name.startswith("config/") else 0o600
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    info.size = content.stat().st_size
    with content.open("rb") as file:
        tar.addfile(info, file)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- unpacking -------------------------------------------------------------------------------------------------------


def read_archive(file: Path, into: Path) -> Manifest:
    """Unpacks an archive into an empty folder, every member checked against the manifest; state files get 0600.

    Raises:
        ArchiveFault: it is not one, it is damaged, or a member is not what a backup holds.
    """
    try:
        with tarfile.open(file, mode="r|gz") as tar:
            members = iter(tar)
            manifest = _manifest(tar, next(members, None))
            left = dict(manifest.files)
            for info in members:
                _unpack(tar, info, left, into)
        if left:
            raise ArchiveFault(f"{min(left)} is missing in it")
        for database in sorted(into.rglob("*.db")):
            _check_database(database)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ArchiveFault(f"{file}: cannot be read as a backup: {error}") from error
    except ArchiveFault as error:
        raise ArchiveFault(f"{file}: {error}") from error
    return manifest


def _manifest(tar: tarfile.TarFile, info: tarfile.TarInfo | None) -> Manifest:
    if info is None or info.name != MANIFEST or info.size > LARGEST_MANIFEST or (file := tar.extractfile(info)) is None:
        raise ArchiveFault("is not a backup of this gateway: it does not begin with a manifest")
    try:
        data: Any = json.loads(file.read())
        if data["format"] != FORMAT:
            raise ArchiveFault(f"was made by a newer gateway (format {data['format']!r})")
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in data["files"].items()}
        outside = {str(name): str(path) for name, path in data["outside"].items()}
        by_hand = [str(text) for text in data["by_hand"]]
        manifest = Manifest(str(data["version"]), str(data["made"]), str(data["config"]), outside, by_hand, files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArchiveFault("its manifest is damaged") from error
    if len(files) > MOST_FILES or sum(size for size, _ in files.values()) > LARGEST_TOTAL:
        raise ArchiveFault(f"holds more than {MOST_FILES} files or {LARGEST_TOTAL >> 30} GiB")
    for name, (size, _) in files.items():
        if not _is_safe(name) or not 0 <= size <= LARGEST_FILE:
            raise ArchiveFault(f"{name!r} is not a file of a backup")
    if manifest.config not in files or not manifest.config.startswith("config/"):
        raise ArchiveFault("its manifest names no configuration")
    return manifest


def _is_safe(name: str) -> bool:
    """A plain relative path below one of the three folders: nothing that could lead elsewhere."""
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and "\\" not in part and part.isprintable() for part in parts)
    return plain and parts[0] in ("config", "state", "outside") and 2 <= len(parts) <= DEEPEST


def _unpack(tar: tarfile.TarFile, info: tarfile.TarInfo, left: dict[str, tuple[int, str]], into: Path) -> None:
    expected = left.pop(info.name, None)
    if expected is None or info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size != expected[0]:
        raise ArchiveFault(f"{info.name!r} is not what the manifest says")
    source = tar.extractfile(info)
    path = into.joinpath(*PurePosixPath(info.name).parts)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    mode = info.mode & 0o644 | 0o600 if info.name.startswith("config/") else 0o600
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        for chunk in _chunks(source):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(descriptor)
    if digest.hexdigest() != expected[1]:
        raise ArchiveFault(f"{info.name!r} is damaged")


def _chunks(source: Any) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _check_database(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise ArchiveFault(f"{path.name} in it is damaged: {said}")
