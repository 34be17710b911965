"""Foreign device: broadcasts to and from another subnet through a BBMD there (ASHRAE 135 annex J.5 and J.6).

Rules of this file: registered anew long before the BBMD forgets us; an answer counts only from the BBMD itself;
whoever has no broadcasts is told so.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from bacpypes3.ipv4.bvll import DistributeBroadcastToNetwork, ForwardedNPDU, OriginalBroadcastNPDU, Result
from bacpypes3.pdu import PDU, IPv4Address, LocalBroadcast

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet.link import Link, UdpPort

FOREIGN = "bacnet.foreign"
REPEAT_S = 5.0
PATIENCE_S = 12.0
"""A BBMD that did not answer three times in a row is told of."""
REGISTER, DELETE = 0x05, 0x08
DISTRIBUTE_REFUSED = 0x60
"""A broadcast was not passed on: the BBMD has forgotten us, perhaps since it was restarted."""


class Registration:
    """Our entry in a BBMD's foreign device table.

    Args:
        bbmd: the BBMD's address.
        ttl_s: for how long it keeps the entry without a renewal.
        alarms: gets the loss.
        now: monotonic time in seconds.
        on_registered: called when there is an entry where there was none.
    """

    def __init__(
        self,
        bbmd: IPv4Address,
        ttl_s: int,
        alarms: Alarms,
        now: Callable[[], float],
        on_registered: Callable[[], None],
    ) -> None:
        self.bbmd = bbmd
        self.ttl_s = ttl_s
        self._alarms = alarms
        self._now = now
        self._on_registered = on_registered
        self._send_at = -math.inf
        self._unanswered_since: float | None = None
        self._until = -math.inf

    @property
    def registered(self) -> bool:
        """Whether the BBMD has us in its table now."""
        return self._now() < self._until

    def request(self) -> bytes | None:
        """A Register-Foreign-Device when it is time for one."""
        now = self._now()
        if now < self._send_at:
            return None
        if self._unanswered_since is None:
            self._unanswered_since = now
        elif now - self._unanswered_since >= PATIENCE_S:
            self._trouble("does not answer")
        self._send_at = now + min(REPEAT_S, self.ttl_s / 3)
        return bytes((0x81, REGISTER, 0, 6)) + self.ttl_s.to_bytes(2, "big")

    def answered(self, code: int) -> None:
        """The BBMD's result: 0 accepted, anything else refused."""
        if code == DISTRIBUTE_REFUSED:
            self._until = self._send_at = -math.inf
            return
        if self._unanswered_since is None:
            return
        if code:
            self._trouble(f"refused the registration (result {code:#06x}); it must accept foreign devices")
            return
        was, now = self.registered, self._now()
        self._unanswered_since = None
        self._until, self._send_at = now + self.ttl_s, now + self.ttl_s / 2
        self._alarms.clear(FOREIGN)
        if not was:
            self._on_registered()

    def _trouble(self, what: str) -> None:
        host, port = self.bbmd.addrTuple
        left = "" if self.registered else ", and no broadcast reaches the gateway: a BMS may not find it"
        self._alarms.set(FOREIGN, f"the BBMD {host}:{port} of bacnet.foreign {what}{left}")

    def farewell(self, own: tuple[str, int]) -> bytes:
        """A Delete-Foreign-Device-Table-Entry for our own entry."""
        address = IPv4Address(own)
        return bytes((0x81, DELETE, 0, 10)) + bytes(address.addrAddr)


class ForeignLink(Link):
    """The BVLL layers of a foreign device; the subnet's own broadcasts are not its (annex J.5.1)."""

    def __init__(self, port: UdpPort, registration: Registration) -> None:
        super().__init__(port)
        self._registration = registration

    async def indication(self, pdu: PDU) -> None:
        """Sends an NPDU; broadcasts through the BBMD, if it knows us."""
        if not isinstance(pdu.pduDestination, LocalBroadcast):
            await super().indication(pdu)
        elif self._registration.registered:
            await self.request(DistributeBroadcastToNetwork(pdu, destination=self._registration.bbmd))

    async def confirmation(self, lpdu: object) -> None:
        """Takes a BVLL message."""
        ours = getattr(lpdu, "pduSource", None) == self._registration.bbmd
        if isinstance(lpdu, Result):
            if ours:
                self._registration.answered(int(lpdu.bvlciResultCode))
        elif not isinstance(lpdu, OriginalBroadcastNPDU) and (ours or not isinstance(lpdu, ForwardedNPDU)):
            await super().confirmation(lpdu)
