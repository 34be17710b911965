"""How a file is replaced so that a crash leaves the old or the new one, and never a half."""

from __future__ import annotations

import os
from pathlib import Path


def link(path: Path, kept: Path) -> None:
    """Keeps a file under another name, replacing what has that name; `path` itself stays."""
    new = kept.with_name(kept.name + ".new")
    new.unlink(missing_ok=True)
    try:
        os.link(path, new)
    except OSError:  # a file system without hard links
        new.write_bytes(path.read_bytes())
    os.replace(new, kept)  # noqa: PTH105  # atomic on purpose


def replace(path: Path, content: str | bytes, mode: int) -> None:
    """Writes beside, syncs, renames, syncs the folder.

    Root leaves the file to whom it belonged, else to the folder's owner: the gateway runs as somebody else.
    """
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        if os.geteuid() == 0:
            owner = (path if path.exists() else path.parent).stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)  # noqa: PTH105
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes renames in a folder last."""
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
