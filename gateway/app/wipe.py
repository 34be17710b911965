"""What `wipe` takes out of a state directory: sessions, keys and slots; with `everything` all the rest.

Rules of this file: only while no gateway runs on it; addresses and evidence go last and only when asked for by name,
for a BMS knows the one and somebody may have to prove the other.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from gateway.addressing.builtin import GATEWAY_SOURCE
from gateway.app.clock import SystemClock
from gateway.app.load import Site
from gateway.core.priority import Origin
from gateway.engine.ports import Evidence
from gateway.store import SqliteJournal, Store
from gateway.store.folder import TOKENS
from gateway.store.installation import NOT_IN_BACKUP

OWN = GATEWAY_SOURCE + "/"
"""How the keys begin under which the gateway keeps what is no command, such as Database_Revision."""
LOCK = "lock"


async def wipe(site: Site, user: str, *, everything: bool) -> list[str]:
    """Wipes a site's state; returns what was removed, in sentences.

    Raises:
        ConfigError: a gateway runs on it (StateInUse), or a newer one wrote it.
        OSError: the disk refused; what was removed until then is gone.
    """
    store = Store(site.state_dir)
    store.open()
    try:
        if everything:
            return _all_of(site.state_dir)
        said = [f"{count} open session{'s' * (count != 1)}" for count in [_remove(site.state_dir / TOKENS)] if count]
        keys = [name for name in sorted(NOT_IN_BACKUP) if (site.state_dir / name).exists()]
        for name in keys:
            (site.state_dir / name).unlink()
        said += [f"{name}: the next start makes a new one" for name in keys]
        return said + await _forget_commands(site, user)
    finally:
        store.close()


def _remove(folder: Path) -> int:
    """Removes a folder with its files; returns how many there were."""
    files = list(folder.iterdir()) if folder.is_dir() else []
    if files:
        shutil.rmtree(folder)
    return len(files)


def _all_of(folder: Path) -> list[str]:
    """Everything but the lock, which is held."""
    said = []
    for path in sorted(folder.iterdir()):
        if path.name != LOCK:
            (shutil.rmtree if path.is_dir() and not path.is_symlink() else Path.unlink)(path)
            said.append(str(path))
    return said


async def _forget_commands(site: Site, user: str) -> list[str]:
    """Slots, receipts and what was never delivered; each is a record of the evidence, which stays."""
    journal = SqliteJournal(site.state_dir, clock=SystemClock())
    journal.open()
    try:
        keys = sorted(key for key in journal.restored() if not key.startswith(OWN))
        origin = Origin("cli", "local", user)
        wiped = [Evidence("wiped", key, origin) for key in keys]
        if keys and not await journal.commit(dict.fromkeys(keys), wiped):
            raise OSError(f"the slots are still there: {journal.fault}")
    finally:
        journal.close()
    return [f"the slots of {len(keys)} commandable point{'s' * (len(keys) != 1)}"] if keys else []
