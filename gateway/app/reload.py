"""Takes over what has changed in the files of a running gateway, all of it or nothing.

Rules of this file: everything that can fail is done before anything that runs is touched; what cannot be taken over
refuses the whole reload, in words, and the old configuration goes on, also where a fault of the gateway's own is the
reason; what is asked of a product outlives a reload.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway.addressing import AddressBook
from gateway.app.changes import MOST_TOLD, Changes, Seen, changes_between
from gateway.app.kept import KeptFiles
from gateway.app.listeners import Listeners
from gateway.app.load import load_site
from gateway.app.logins import Logins
from gateway.app.ports import Ports
from gateway.app.published import move_faults, publish_running, refused_moves
from gateway.app.reloaded import ALARM, Reloaded
from gateway.app.spare import give_back
from gateway.app.upstream import Prepared, Spawn, Upstream
from gateway.app.watchdog import site_words
from gateway.core.errors import ConfigError, CorrectionRefused
from gateway.store.published import is_published
from gateway.systemd import notify

if TYPE_CHECKING:
    from gateway.app.daemon import Daemon

log = structlog.get_logger("gateway")


class RefusedReload(Exception):
    """Why a reload is not carried out, in sentences."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class Reloader:
    """Reloads, one at a time; needs `run` for those that a signal asks for."""

    def __init__(
        self,
        daemon: Daemon,
        logins: Logins,
        upstream: Upstream,
        listeners: Listeners,
        kept: KeptFiles,
        spawn: Spawn,
    ) -> None:
        self._daemon, self._logins, self._upstream = daemon, logins, upstream
        self._listeners, self._kept, self._spawn = listeners, kept, spawn
        self._file = Path(daemon.site.loaded.document.file).resolve()
        self._asked: asyncio.Queue[str] = asyncio.Queue()
        self._one = asyncio.Lock()
        self._seen = Seen(daemon.site)

    def ask(self, user: str) -> None:
        """Asks for a reload soon; one that is due already will do."""
        if self._asked.empty():
            self._asked.put_nowait(user)

    async def run(self) -> None:
        """Carries out what `ask` asked for, until cancelled."""
        while True:
            await self.reload(await self._asked.get())

    async def reload(self, user: str, *, accept_moves: bool = False) -> Reloaded:
        """Reads passwords again and lets refused logins try, then takes over whatever the files say now."""
        async with self._one:
            notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS=reloading")
            try:
                reread = self._logins.reread()
                found = Reloaded(reread.done, reread.refused)
                try:
                    found.done += await self._take_over(user, accept_moves=accept_moves)
                    self._daemon.alarms.clear(ALARM)
                except RefusedReload as refused:
                    told = [*refused.reasons, "nothing of the files was taken over: what ran before goes on"]
                    found.refused += told
                    more = f" and {len(refused.reasons) - 1} more" if len(refused.reasons) > 1 else ""
                    self._daemon.alarms.set(ALARM, f"the last reload was refused: {refused.reasons[0]}{more}")
            finally:
                notify(f"READY=1\nSTATUS={site_words(self._daemon)}")
        log.info("gateway.reload", user=user, done="; ".join(found.done))
        if found.refused:
            log.warning("gateway.reload_refused", user=user, reason="; ".join(found.refused))
        return found

    # -- one reload ----------------------------------------------------------------------------------------------

    async def _take_over(self, user: str, *, accept_moves: bool) -> list[str]:
        """Everything that differs, in sentences.

        Raises:
            RefusedReload: nothing was taken over.
        """
        try:
            site = await asyncio.to_thread(load_site, self._file)
            changes = changes_between(self._daemon.site, site, self._seen.renewed(site))
            if not changes.words:
                self._kept.take_over()  # they may say it again after an edit that was refused
                return ["the files say what is running already"]
            await self._check(changes, accept_moves=accept_moves)
            prepared, ports = await self._prepare(changes)
        except ConfigError as error:
            raise RefusedReload(*map(str, error.faults)) from error
        except RefusedReload:
            raise
        except Exception as error:
            raise _unforeseen(error) from error
        await self._switch(changes, prepared, ports)
        await self._keep(user, accept_moves=accept_moves)
        await self._kept.keep()
        give_back()
        more = len(changes.words) - MOST_TOLD
        return [*changes.words[:MOST_TOLD], *([f"and {more} more changes"] if more > 0 else [])]

    async def _prepare(self, changes: Changes) -> tuple[Prepared, Ports]:
        """Makes everything that can fail, and pauses whoever polls in another way from now on; or leaves all as it was.

        Raises:
            RefusedReload, ConfigError: why it cannot be.
        """
        try:
            prepared = await self._upstream.prepare(changes)
        except OSError as error:
            raise RefusedReload(str(error)) from error
        ports, touched = None, (*changes.polls, *changes.removed)
        try:
            ports = self._listeners.prepare(changes.site)
            await self._upstream.pause(touched)
            obstacles = self._daemon.obstacles(changes)  # somebody may have written meanwhile
            if obstacles:
                raise RefusedReload(*obstacles)
        except Exception:
            if ports is not None:
                ports.close()
            await prepared.give_up()
            self._start(touched)
            raise
        return prepared, ports

    async def _switch(self, changes: Changes, prepared: Prepared, ports: Ports) -> None:
        """The step of the loop in which the new configuration comes into force, and what follows from it."""
        try:
            self._upstream.switch(changes, prepared)
            remapped = self._daemon.take_over(changes)
            self._logins.site = changes.site
            self._listeners.show(remapped=remapped)
            self._seen = Seen(changes.site)
            await self._finish(changes, ports)
        except Exception:
            log.critical("gateway.reload_broken", reason="half of a reload is in force; the gateway ends")
            self._daemon.stop()
            raise

    async def _finish(self, changes: Changes, ports: Ports) -> None:
        """Who moves moves; nobody logs in at a product before the session there that is over was left."""
        again = {*changes.logins}
        self._start(name for name in changes.polls if name not in again)
        await self._listeners.apply(ports, changes.renewed)
        await self._upstream.finish()
        self._start((*(name for name in changes.polls if name in again), *changes.added))

    def _start(self, names: Iterable[str]) -> None:
        for name in names:
            self._upstream.start(name, self._spawn)

    async def _keep(self, user: str, *, accept_moves: bool) -> None:
        """These files are what the gateway is to start with; moves that somebody accepted are published."""
        self._kept.take_over()
        if accept_moves and is_published(self._daemon.site.state_dir):
            try:
                await publish_running(self._daemon, user=user, accept_moves=True)
            except (ConfigError, CorrectionRefused, OSError) as error:
                log.warning("addresses.not_published", reason=str(error))

    # -- whether it may be ---------------------------------------------------------------------------------------

    async def _check(self, changes: Changes, *, accept_moves: bool) -> None:
        """Refuses what cannot be taken over while the gateway runs."""
        old, new = self._daemon.site, changes.site
        if new.state_dir != old.state_dir:
            at = new.loaded.document.fault(("state_dir",), "another state_dir needs a restart of the gateway")
            raise RefusedReload(str(at))
        reasons = self._daemon.obstacles(changes)
        try:
            AddressBook(self._daemon.book.entries, new.pools, self._daemon.book.certificates)
            if not accept_moves:
                self._daemon.save()
                reasons += map(str, await asyncio.to_thread(lambda: move_faults(new, refused_moves(new))))
        except ConfigError as error:
            reasons += map(str, error.faults)
        if reasons:
            raise RefusedReload(*reasons)


def _unforeseen(error: Exception) -> RefusedReload:
    """A fault of the gateway's own, found before anything was touched: what runs must not end over it (FAULTS H04)."""
    log.error("gateway.reload_failed", exc_info=error)
    return RefusedReload(f"the files could not be taken over: {type(error).__name__}; the log says where")
