"""The sources of a running gateway: each with its session, the poller that uses it, and the task that runs it.

Rules of this file: a session belongs to one product under one login, and lives until one of the two changes; whatever
else changes about a source only changes how it is polled; who is not asked any more is logged out of, before anybody
logs in there again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from gateway.app.changes import Changes
from gateway.app.connect import Session
from gateway.app.load import Site
from gateway.app.logins import Login, Logins
from gateway.app.passwords import Password
from gateway.app.plant import Plant
from gateway.config import SourceConfig
from gateway.engine.poller import Poller
from gateway.engine.ports import Source
from gateway.sources import MappedSource
from gateway.store import Store

LOGOUT_S = 5.0
Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
log = structlog.get_logger("gateway")


class FreshTokens:
    """A source's tokens without the one of its last session, which is another product's: nobody else may see it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load_token(self, _source: str) -> str | None:
        """None: whoever has it ends its session itself."""
        return None

    def save_token(self, source: str, token: str | None) -> None:
        """As the store."""
        self._store.save_token(source, token)


@dataclass(slots=True)
class Prepared:
    """Logins that are made and not used yet, with what closes their connections; and passwords kept elsewhere now."""

    logins: dict[str, Login] = field(default_factory=dict)
    stacks: dict[str, contextlib.AsyncExitStack] = field(default_factory=dict)
    passwords: dict[str, Password] = field(default_factory=dict)

    async def give_up(self) -> None:
        """Nothing of it is used."""
        for stack in self.stacks.values():
            await stack.aclose()


class Upstream:
    """Every source that is configured; `sources` and `plant.pollers` are kept by name and change in place."""

    def __init__(self, plant: Plant, logins: Logins) -> None:
        self._plant, self._logins = plant, logins
        self.sources: dict[str, Source] = {}
        self._stacks: dict[str, contextlib.AsyncExitStack] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: list[tuple[str, Session, contextlib.AsyncExitStack]] = []
        self._is_over = False

    async def add(self, site: Site, config: SourceConfig) -> None:
        """A source with a session of its own that is not open yet.

        Raises:
            ConfigError: its password cannot be read.
            OSError: the certificate file cannot be used.
        """
        stack = self._stacks[config.name] = contextlib.AsyncExitStack()
        session = await self._logins.add(site, config, self._plant.store, stack)
        self.sources[config.name] = MappedSource(config.name, session, self._plant.clock)

    def poll(self, site: Site, config: SourceConfig) -> None:
        """A poller for a source as it is configured now; it does not run yet. What is known of its health stays."""
        plant, known = self._plant, self._plant.pollers.get(config.name)
        poller = plant.pollers[config.name] = Poller(
            self.sources[config.name],
            site.kinds(config.name),
            table=plant.table,
            inventory=plant.inventory,
            intake=plant.intake,
            derivations=plant.derivations,
            clock=plant.clock,
            parallel=config.parallel,
            exclude=config.exclude,
            on_lost=plant.desk.lost,
        )
        if known is not None:
            poller.health = known.health

    def start(self, name: str, spawn: Spawn) -> None:
        """Begins to poll, unless it is polled already, or the gateway ends: a reload may still be under way then."""
        if name not in self._tasks and not self._is_over:
            self._tasks[name] = spawn(self._plant.pollers[name].run())

    # -- a reload ------------------------------------------------------------------------------------------------

    async def prepare(self, changes: Changes) -> Prepared:
        """Makes everything that can fail: new sessions, and passwords from where they are now.

        Raises:
            ConfigError: a password cannot be read.
            OSError: a certificate file cannot be used.
        """
        found, site = Prepared(), changes.site
        before = {source.name: source for source in self._plant.site.config.sources}
        try:
            for config in site.config.sources:
                if config.name in (*changes.added, *changes.logins):
                    known = before.get(config.name)
                    moved = known is not None and known.url != config.url
                    tokens = FreshTokens(self._plant.store) if moved else self._plant.store
                    stack = found.stacks[config.name] = contextlib.AsyncExitStack()
                    found.logins[config.name] = await self._logins.prepare(site, config, tokens, stack)
                elif config.password != before[config.name].password:
                    found.passwords[config.name] = Password(config, site.loaded)
        except BaseException:
            await found.give_up()
            raise
        return found

    async def pause(self, names: Iterable[str]) -> None:
        """Ends polling, never in the middle of a login: a token that nobody keeps would lock the user out."""
        for name in names:
            task = self._tasks.pop(name, None)
            if task is not None:
                async with self._logins.between_logins(name):
                    task.cancel()
                await asyncio.wait({task})

    def switch(self, changes: Changes, prepared: Prepared) -> None:
        """Other sessions and pollers, none of which runs yet; `finish` leaves those that are not used any more."""
        for name in (*changes.removed, *changes.logins):
            self._leaving.append((name, self._logins.remove(name), self._stacks.pop(name)))
            del self.sources[name]
        for name in changes.removed:
            del self._plant.pollers[name]
        for name, login in prepared.logins.items():
            self._logins.install(name, login)
            self._stacks[name] = prepared.stacks[name]
            self.sources[name] = MappedSource(name, login.session, self._plant.clock)
        for name, password in prepared.passwords.items():
            self._logins.follow(name, password)
        for config in changes.site.config.sources:
            if config.name in (*changes.added, *changes.polls):
                self.poll(changes.site, config)
        order = [source.name for source in changes.site.config.sources]
        pollers, sources = dict(self._plant.pollers), dict(self.sources)
        self._plant.pollers.clear()
        self._plant.pollers.update({name: pollers[name] for name in order})
        self.sources.clear()
        self.sources.update({name: sources[name] for name in order})

    async def finish(self) -> None:
        """Lets requests under way end, and logs out of every session that is not used any more, of all at once."""
        await asyncio.gather(*map(self._leave, list(self._leaving)))

    async def _leave(self, left: tuple[str, Session, contextlib.AsyncExitStack]) -> None:
        name, session, stack = left
        try:
            async with asyncio.timeout(LOGOUT_S):
                if not await session.leave():
                    self._logins.forget_token(name)
        except TimeoutError:
            log.warning("gateway.logout_cut", source=name, reason=f"no answer to a logout within {LOGOUT_S:g} s")
        self._leaving.remove(left)
        await stack.aclose()

    # -- the end -------------------------------------------------------------------------------------------------

    async def end(self) -> None:
        """Ends all polling and logs out of all sources at once."""
        self._is_over, tasks, self._tasks = True, list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sessions = [session for _, session, _ in self._leaving]
        try:
            async with asyncio.timeout(LOGOUT_S):
                await asyncio.gather(*(one.close() for one in (*self.sources.values(), *sessions)))
        except TimeoutError:
            log.warning("gateway.logout_cut", reason=f"not every product answered its logout within {LOGOUT_S:g} s")

    async def close(self) -> None:
        """Closes every connection."""
        stacks = [*self._stacks.values(), *(stack for _, _, stack in self._leaving)]
        self._stacks.clear()
        for stack in stacks:
            await stack.aclose()
