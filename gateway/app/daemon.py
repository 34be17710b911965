"""The daemon: starts the site, serves until told to stop, reloads when told to, and logs out of every source."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from gateway.app.clock import SystemClock
from gateway.app.control import Control
from gateway.app.descriptors import Descriptors
from gateway.app.kept import KeptFiles
from gateway.app.listeners import Listeners
from gateway.app.load import Site
from gateway.app.logins import Logins
from gateway.app.observe import watching
from gateway.app.plant import Placed, Plant
from gateway.app.reload import Reloader
from gateway.app.reloaded import Reloaded
from gateway.app.upstream import Upstream
from gateway.app.watchdog import site_watchdog
from gateway.app.web import WebListener
from gateway.engine.ports import BootClock
from gateway.engine.resource import Resource
from gateway.servers.bacnet import BacnetServer
from gateway.servers.modbus import ModbusServer
from gateway.systemd import notify

GC_THRESHOLD = (50_000, 20, 20)
"""A full pass over 12,000 points stops the loop for 130 ms; samples are no garbage cycles, so it may come seldom."""
log = structlog.get_logger("gateway")


class Daemon(Plant):
    """One site, running. `await run()` serves until `stop()`; `ready` is set once the ports are bound.

    `on_locked` is called as soon as no other gateway can run on the same state. `moved` is the alarm of a site that is
    not the one of its files, because those would move published addresses.
    """

    def __init__(
        self,
        site: Site,
        clock: BootClock | None = None,
        *,
        on_locked: Callable[[], None] = lambda: None,
        moved: str = "",
    ) -> None:
        super().__init__(site, clock or SystemClock(), self._show)
        self._on_locked = on_locked
        self.logins = Logins(site, self.pollers, self.clock)
        self.upstream = Upstream(self, self.logins)
        self.listeners = Listeners(self, self.stop)
        self.kept = KeptFiles(self, moved)
        self.reloader = Reloader(self, self.logins, self.upstream, self.listeners, self.kept, self._spawn)
        self.ready = asyncio.Event()
        self._stop = asyncio.Event()

    @property
    def modbus(self) -> ModbusServer | None:
        """The Modbus TCP server, None when none is configured."""
        return self.listeners.modbus

    @property
    def bacnet(self) -> BacnetServer | None:
        """The BACnet/IP server, None when none is configured."""
        return self.listeners.bacnet

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    @property
    def web(self) -> WebListener | None:
        """The web listener, None when none is configured."""
        return self.listeners.web

    def _show(self, resource: Resource, points: Placed) -> None:
        self.listeners.place(resource, points)

    def stop(self) -> None:
        """Asks `run` to end; it logs out first."""
        self._stop.set()

    async def reload(self, user: str, *, accept_moves: bool = False) -> Reloaded:
        """Takes over what has changed in the configuration and its mappings, all of it or nothing."""
        return await self.reloader.reload(user, accept_moves=accept_moves)

    async def run(self, *, signals: bool = True) -> None:
        """Serves the site.

        Raises:
            ConfigError: state, secrets or ports cannot be used; nothing is left running.
        """
        if signals:
            self._heed_signals()
        self.store.open()
        self._on_locked()
        gc.set_threshold(*GC_THRESHOLD)
        try:
            self.journal.open()
            async with contextlib.AsyncExitStack() as stack:
                self.build()
                await self._start(stack)
                await self._serve()
        except BaseExceptionGroup as group:
            raise _only_leaf(group) from None
        finally:
            self.save()
            self.journal.close()
            self.store.close()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        """Sources, restored points, then the servers, so that a port answers only when the map stands."""
        await self.history.open()
        stack.push_async_callback(self.history.close)
        stack.push_async_callback(self.upstream.close)
        for config in self.site.config.sources:
            await self.upstream.add(self.site, config)
            kinds = self.site.kinds(config.name)
            self.intake.learn(kinds)
            self.restore(config, kinds)
            self.upstream.poll(self.site, config)
        sources = self.upstream.sources
        self.actions.connect(sources, lambda source: self.pollers[source].health.connected)
        self.desk.connect(self.intake, sources, lambda source, kind: self.pollers[source].relist(kind))
        self._group = await stack.enter_async_context(asyncio.TaskGroup())
        await self.listeners.start(stack, self._group.create_task, Control(self))

    async def _serve(self) -> None:
        """Runs every task until stop, then logs out of all sources at once."""
        notify("READY=1\nSTATUS=serving")
        log.info("gateway.ready", site=self.site.config.site, points=len(self.table))
        self.ready.set()
        descriptors = Descriptors(self.alarms)
        asyncio.get_running_loop().set_exception_handler(descriptors.on_error)
        tasks = [self.vitals.run(), self.desk.run(), self.actions.run(), descriptors.run()]
        tasks += [self.reloader.run(), site_watchdog(self, self.listeners).run()]
        tasks += [self.kept.keep(), self.point_alarms.run(), self.listeners.run()]
        tasks += [self.history.run(), self.forcing.run(), *watching(self, self.listeners)]
        running = [self._group.create_task(task) for task in tasks]
        for name in self.pollers:
            self.upstream.start(name, self._group.create_task)
        try:
            await self._stop.wait()
        finally:
            notify("STOPPING=1")
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self.desk.save()
            self.kept.close()
            await self.upstream.end()
        log.info("gateway.stopped")

    def _heed_signals(self) -> None:
        """From the first moment: a stop logs out of what is open by then, a reload follows once everything runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reloader.ask, "SIGHUP")


def _only_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in a group, so that a taken port is told in one line and a fault of ours in one traceback."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
