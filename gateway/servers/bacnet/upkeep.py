"""What the server does of its own accord: notifications, and looking after its place on the network.

Rules of this file: the one task of the server; whatever fails here is tried again, and told as an alarm.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator

from bacpypes3.pdu import Address, GlobalBroadcast

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet.cov import PASS_S, Datagram
from gateway.servers.bacnet.foreign import Registration
from gateway.servers.bacnet.link import UdpPort
from gateway.servers.bacnet.routing import Router
from gateway.servers.bacnet.stack import Parts, Responder
from gateway.servers.bacnet.standard import WILDCARD
from gateway.servers.bacnet.virtual import mac_of

LOST = "bacnet.interface"
ASKS, TELLS = b"\x01\x04", b"\x01\x00"
"""NPCI of an unrouted APDU that wants an answer, and of one that does not."""
TICK_S, MEND_EVERY_S = 1.0, 5.0
"""Between two looks at everything, and at the sockets."""


class Upkeep:
    """The task of one server. `announce`: an I-Am is due; `turns` counts on as long as it works."""

    def __init__(
        self,
        responder: Responder,
        parts: Parts,
        udp: UdpPort,
        registration: Registration | None,
        alarms: Alarms,
        now: Callable[[], float],
        router: Router | None = None,
    ) -> None:
        self._router = router
        self._responder = responder
        self._parts = parts
        self._udp = udp
        self._registration = registration
        self._alarms = alarms
        self._now = now
        self._tick_at = -math.inf
        self._mend_at = now() + MEND_EVERY_S
        self.announce = registration is None
        self.turns = 0

    async def run(self, awake: asyncio.Event) -> None:
        """Works until it is cancelled; `awake` says that something waits to be sent."""
        while True:
            self.turns += 1
            try:
                rest_s = await self._work()
            except Exception as fault:  # noqa: BLE001  # a fault of ours must not end reading; complain logs it
                self._responder.complain("upkeep", fault)
                rest_s = TICK_S
            if rest_s == PASS_S:
                await asyncio.sleep(PASS_S)
                continue
            try:
                async with asyncio.timeout(min(rest_s, TICK_S)):
                    await awake.wait()
            except TimeoutError:
                continue
            awake.clear()

    async def _work(self) -> float:
        """All that is due now; returns for how long there is nothing more."""
        if self._now() >= self._tick_at:
            self._tick_at = self._now() + TICK_S
            await self.tick()
        elif self.announce:
            await self._introduce()
        for datagram in self._due():
            to = datagram.destination
            if datagram.device and self._router is not None:
                await self._router.send(mac_of(datagram.device & WILDCARD), datagram.apdu, to)
            elif to.addrType == Address.localStationAddr:
                self._udp.send_npdu((ASKS if datagram.apdu[0] == 0 else TELLS) + datagram.apdu, to.addrTuple)
            else:
                await self._responder.notify(datagram)
        if self._router is not None and await self._router.pump():
            return PASS_S
        reporting = self._parts.reporting
        return min(self._parts.cov.rest_s(), math.inf if reporting is None else reporting.rest_s())

    def _due(self) -> Iterator[Datagram]:
        """Notifications that may leave now."""
        if self._parts.reporting is not None:
            yield from self._parts.reporting.pump()
        yield from self._parts.cov.pump()

    async def tick(self) -> None:
        """Everything that has its time: sockets, BBMD, our number, an ordered silence."""
        self._parts.management.tick()
        if self._router is not None:
            self._router.fleet.tick()
        if self._now() >= self._mend_at:
            self._mend_at = self._now() + MEND_EVERY_S
            await self._mend()
        registration = self._registration
        if registration is not None:
            request = registration.request()
            if request is not None:
                self._udp.send(request, registration.bbmd.addrTuple)
        if self.announce:
            await self._introduce()
        if not self._parts.management.silent and (registration is None or registration.registered):
            for question in self._parts.presence.questions():
                await self._responder.notify(Datagram(question, GlobalBroadcast()))
        if self._router is not None and (registration is None or registration.registered):
            await self._router.tick()

    async def _introduce(self) -> None:
        self.announce = False
        if not self._parts.management.silent:
            await self._responder.announce()
        if self._router is not None:
            self._router.begin()
            self._router.fleet.introduce(self._parts.cov.muted)

    async def _mend(self) -> None:
        try:
            renewed = await self._udp.mend()
        except OSError as error:
            self._alarms.set(LOST, f"{error}; it is tried again every {MEND_EVERY_S:g} s")
            return
        self._alarms.clear(LOST)
        self.announce = self.announce or renewed
