"""Archives: what gets in, and that nothing but a whole, harmless archive is ever unpacked."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.store import backup
from gateway.store.backup import ArchiveFault, Manifest, read_archive, state_files, write_archive

MANIFEST = Manifest("1", "2026-11-20T00:00:00Z", "config/config.yaml", {}, ["the password of evce: file pw"])
CONTENT = b"state_dir: state\n"


def test_state_files_are_those_that_must_survive(tmp_path: Path) -> None:
    for name in ("addresses.yaml", "addresses.yaml.1", "evidence-1.jsonl.gz", "sub/more", "lock.txt", "sub/lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in ("lock", "addresses.yaml.broken", "addresses.yaml.new", "state.db-wal", "state.db-shm", "password"):
        (tmp_path / name).write_text("no")
    (tmp_path / "server.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "evce").write_text("secret")
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "state.db").write_text("")
    found = [path.relative_to(tmp_path).as_posix() for path in state_files(tmp_path, [tmp_path / "password"])]
    assert found[0] == "state.db", "what leaves a database for a file must not fall between the two copies"
    wanted = ["addresses.yaml", "addresses.yaml.1", "evidence-1.jsonl.gz", "lock.txt", "sub/lock", "sub/more"]
    assert sorted(found[1:]) == wanted


def test_a_database_in_use_is_copied_as_a_whole(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (n)")
    database.execute("INSERT INTO t VALUES (1)")
    database.execute("BEGIN")
    database.execute("INSERT INTO t VALUES (2)")
    (tmp_path / "config.yaml").write_bytes(CONTENT)
    files = {"config/config.yaml": tmp_path / "config.yaml", "state/state.db": tmp_path / "state.db"}
    assert write_archive(tmp_path / "a.tar.gz", files, MANIFEST).files == 2
    database.execute("COMMIT")
    database.close()
    assert read_archive(tmp_path / "a.tar.gz", tmp_path / "out").by_hand == MANIFEST.by_hand
    copy = sqlite3.connect(tmp_path / "out" / "state" / "state.db")
    assert copy.execute("SELECT n FROM t").fetchall() == [(1,)], "what was committed, without what was not"
    copy.close()
    assert stat.S_IMODE((tmp_path / "a.tar.gz").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "out" / "state" / "state.db").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".", "a"))) == ["a.tar.gz"]


def test_a_database_that_is_none_makes_no_backup(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ArchiveFault, match=r"state\.db cannot be copied: file is not a database"):
        write_archive(tmp_path / "a.tar.gz", {"state/state.db": tmp_path / "state.db"}, MANIFEST)
    assert [path.name for path in tmp_path.iterdir()] == ["state.db"]


def harmed(path: Path) -> Path:
    """A database with a page that cannot be: SQLite copies it without a word."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (n)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 100,)] * 1000)
    database.close()
    data = bytearray(path.read_bytes())
    data[8192:8292] = b"\xff" * 100
    path.write_bytes(data)
    return path


def test_a_damaged_database_makes_no_backup_that_a_restore_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(ArchiveFault, match=r"state\.db is damaged: "):
        write_archive(tmp_path / "a.tar.gz", {"state/state.db": harmed(tmp_path / "state.db")}, MANIFEST)
    assert [path.name for path in tmp_path.iterdir()] == ["state.db"]


def test_a_damaged_history_does_not_cost_the_backup_of_all_else(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(CONTENT)
    files = {"config/config.yaml": tmp_path / "config.yaml", "state/history.db": harmed(tmp_path / "history.db")}
    for reason in ("is damaged: ", "cannot be copied: file is not a database"):
        written = write_archive(tmp_path / "a.tar.gz", files, MANIFEST)
        assert written.files == 1
        (text,) = written.left_out
        assert text.startswith(f"history.db {reason}")
        assert text.endswith("; the histories are not in this backup, all else is")
        out = tmp_path / reason[:2]
        read_archive(tmp_path / "a.tar.gz", out)
        assert [path.name for path in out.rglob("*") if path.is_file()] == ["config.yaml"]
        (tmp_path / "history.db").write_bytes(b"no database at all" * 100)


def test_a_file_that_goes_away_meanwhile_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(CONTENT)
    files = {"config/config.yaml": tmp_path / "config.yaml", "state/gone": tmp_path / "gone"}
    assert write_archive(tmp_path / "a.tar.gz", files, MANIFEST).files == 1
    assert list(read_archive(tmp_path / "a.tar.gz", tmp_path / "out").files) == ["config/config.yaml"]


# -- archives nobody should believe ---------------------------------------------------------------------------------


def crafted(path: Path, change: Callable[[dict[str, Any], list[tuple[tarfile.TarInfo, bytes]]], None]) -> Path:
    """An archive as `backup` makes it, changed on purpose."""
    files = {"config/config.yaml": CONTENT, "state/addresses.yaml": b"version: 1\n"}
    head: dict[str, Any] = {"format": 1, "version": "1", "made": "now", "config": "config/config.yaml"}
    head |= {"outside": {}, "by_hand": [], "files": {n: [len(c), digest(c)] for n, c in files.items()}}
    members = [(tarfile.TarInfo(name), content) for name, content in files.items()]
    change(head, members)
    with tarfile.open(path, "w:gz") as tar:
        for info, content in [(tarfile.TarInfo("manifest.json"), json.dumps(head).encode()), *members]:
            info.size = info.size or len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def add(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> Any:
    def change(head: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        head["files"][name] = [len(content) if kind == tarfile.REGTYPE else 0, digest(content)]
        members.append((info, content if kind == tarfile.REGTYPE else b""))

    return change


def head(**more: Any) -> Any:
    return lambda head, _members: head.update(more)


def listed(name: str, size: int) -> Any:
    return lambda head, _members: head["files"].update({name: [size, "00"]})


EVIL: dict[str, tuple[Any, str]] = {
    "absolute": (add("/etc/evil"), "'/etc/evil' is not a file of a backup"),
    "dots": (add("state/../../evil"), "'state/../../evil' is not a file of a backup"),
    "elsewhere": (add("home/evil"), "'home/evil' is not a file of a backup"),
    "no file": (add("state"), "'state' is not a file of a backup"),
    "control": (add("state/a\nb"), "is not a file of a backup"),
    "backslash": (add("state/..\\evil"), "is not a file of a backup"),
    "symlink": (add("state/link", kind=tarfile.SYMTYPE, link="/etc/passwd"), "'state/link' is not what the manifest"),
    "hard link": (add("state/link", kind=tarfile.LNKTYPE, link="/etc/passwd"), "'state/link' is not what the manifest"),
    "device": (add("state/disk", kind=tarfile.BLKTYPE), "'state/disk' is not what the manifest says"),
    "pipe": (add("state/pipe", kind=tarfile.FIFOTYPE), "'state/pipe' is not what the manifest says"),
    "not listed": (lambda head, _: head["files"].pop("state/addresses.yaml"), "'state/addresses.yaml' is not what"),
    "missing": (listed("state/more", 1), "state/more is missing in it"),
    "too large": (listed("state/more", 1 << 40), "more than 10000 files or 8 GiB"),
    "large file": (listed("state/more", 3 << 30), "'state/more' is not a file of a backup"),
    "negative": (listed("state/more", -1), "'state/more' is not a file of a backup"),
    "other content": (lambda _, members: members.append((members.pop()[0], b"version: 2\n")), "is damaged"),
    "other size": (lambda _, members: members.append((members.pop()[0], b"")), "is not what the manifest says"),
    "twice": (lambda _, members: members.append(members[0]), "'config/config.yaml' is not what the manifest says"),
    "no config": (head(config="config/other.yaml"), "names no configuration"),
    "config elsewhere": (head(config="state/addresses.yaml"), "names no configuration"),
    "newer": (head(format=2), "was made by a newer gateway (format 2)"),
    "bad manifest": (head(files=[1]), "its manifest is damaged"),
    "deep": (add("state/" + "a/" * 20 + "b"), "is not a file of a backup"),
    "bad database": (add("state/state.db", b"not sqlite" * 100), "state.db in it is damaged"),
}


@pytest.mark.parametrize(("change", "text"), EVIL.values(), ids=list(EVIL))
def test_an_archive_that_must_not_be_believed(tmp_path: Path, change: Any, text: str) -> None:
    file = crafted(tmp_path / "a.tar.gz", change)
    (tmp_path / "in" / "out").mkdir(parents=True)
    with pytest.raises(ArchiveFault) as caught:
        read_archive(file, tmp_path / "in" / "out")
    assert text in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    written = [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()]
    assert {path.relative_to(tmp_path).parts[0] for path in written} <= {"a.tar.gz", "in"}
    assert not [path for path in written if path.is_symlink() or not path.is_file()]


def test_the_untouched_archive_is_believed(tmp_path: Path) -> None:
    file = crafted(tmp_path / "a.tar.gz", lambda _head, _members: None)
    assert len(read_archive(file, tmp_path / "out").files) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b"no tar"), gzip.compress(b"x" * 4096)],
    ids=["empty", "text", "gz", "zeros"],
)
def test_what_is_no_archive_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(ArchiveFault, match=r"a\.tar\.gz"):
        read_archive(tmp_path / "a.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.999])
def test_an_archive_that_was_cut(tmp_path: Path, keep: float) -> None:
    file = crafted(tmp_path / "a.tar.gz", add("state/more", random.Random(1).randbytes(200_000)))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ArchiveFault):
        read_archive(file, tmp_path / "out")


def test_a_manifest_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "LARGEST_MANIFEST", 10)
    with pytest.raises(ArchiveFault, match="does not begin with a manifest"):
        read_archive(crafted(tmp_path / "a.tar.gz", lambda *_: None), tmp_path / "out")
