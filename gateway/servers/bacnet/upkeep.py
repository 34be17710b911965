"""What the server does of its own accord: notifications, and looking after its place on the network.

Rules of this file: the one task of the server; whatever fails here is tried again, and told as an alarm.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from bacpypes3.pdu import Address, GlobalBroadcast

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet.cov import PASS_S, Datagram
from gateway.servers.bacnet.foreign import Registration
from gateway.servers.bacnet.link import UdpPort
from gateway.servers.bacnet.stack import Parts, Responder

LOST = "bacnet.interface"
ASKS, TELLS = b"\x01\x04", b"\x01\x00"
"""NPCI of an unrouted APDU that wants an answer, and of one that does not."""
TICK_S, MEND_EVERY_S = 1.0, 5.0
"""Between two looks at everything, and at the sockets."""


class Upkeep:
    """The task of one server. `announce`: an I-Am is due."""

    def __init__(
        self,
        responder: Responder,
        parts: Parts,
        udp: UdpPort,
        registration: Registration | None,
        alarms: Alarms,
        now: Callable[[], float],
    ) -> None:
        self._responder = responder
        self._parts = parts
        self._udp = udp
        self._registration = registration
        self._alarms = alarms
        self._now = now
        self._tick_at = -math.inf
        self._mend_at = now() + MEND_EVERY_S
        self.announce = registration is None

    async def run(self, awake: asyncio.Event) -> None:
        """Works until it is cancelled; `awake` says that something waits to be sent."""
        while True:
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
        for datagram in self._parts.cov.pump():
            to = datagram.destination
            if to.addrType == Address.localStationAddr:
                self._udp.send_npdu((ASKS if datagram.apdu[0] == 0 else TELLS) + datagram.apdu, to.addrTuple)
            else:
                await self._responder.notify(datagram)
        return self._parts.cov.rest_s()

    async def tick(self) -> None:
        """Everything that has its time: sockets, BBMD, our number, an ordered silence."""
        self._parts.management.tick()
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
        if not self._parts.cov.muted and (registration is None or registration.registered):
            question = self._parts.presence.question()
            if question is not None:
                await self._responder.notify(Datagram(question, GlobalBroadcast()))

    async def _introduce(self) -> None:
        self.announce = False
        if not self._parts.cov.muted:
            await self._responder.announce()

    async def _mend(self) -> None:
        try:
            renewed = await self._udp.mend()
        except OSError as error:
            self._alarms.set(LOST, f"{error}; it is tried again every {MEND_EVERY_S:g} s")
            return
        self._alarms.clear(LOST)
        self.announce = self.announce or renewed
