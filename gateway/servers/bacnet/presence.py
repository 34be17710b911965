"""The device among others: its own number used twice (B08), and whether broadcasts are heard at all.

Rules of this file: what others say only ever raises an alarm or a hint; it changes nothing of what is served.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.codec import OBJECT_ID
from gateway.servers.bacnet.standard import WILDCARD, Unconfirmed
from gateway.servers.bacnet.tags import Malformed, Tags

DUPLICATE = "bacnet.duplicate"
ASK_EVERY_S, ASK_AGAIN_S = 600.0, 60.0
"""Between two questions who else has our number; the second while somebody has."""
GONE_AFTER_S = 200.0
"""A double that was asked three times without an answer has another number now, or is off."""
QUIET_S = 600.0


class Presence:
    """What the network tells about this device.

    Args:
        device: the Device object's identifier.
        alarms: gets a double.
        now: monotonic time in seconds.
        hears: why broadcasts cannot be heard at all, in words; "" if they can.
    """

    def __init__(self, device: int, alarms: Alarms, now: Callable[[], float], hears: str) -> None:
        self._device = device
        self._alarms = alarms
        self._now = now
        self._deaf = hears
        self._began = now()
        self._ask_at = self._began
        self._seen_at = -math.inf
        self.broadcasts = 0

    def hear_i_am(self, body: bytes, client: str) -> None:
        """An I-Am of somebody else."""
        try:
            key = int.from_bytes(Tags(body).application(OBJECT_ID), "big")
        except Malformed:
            return
        if key != self._device:
            return
        self._seen_at = self._now()
        self._ask_at = min(self._ask_at, self._seen_at + ASK_AGAIN_S)
        number = key & WILDCARD
        text = f"{client} says it is BACnet device {number} too; a number must be unique on the whole network: "
        self._alarms.set(DUPLICATE, f"{text}change bacnet.device.instance here or the number there")

    def question(self) -> bytes | None:
        """A Who-Is for our own number when it is time for one."""
        now = self._now()
        if now < self._ask_at:
            return None
        doubled = DUPLICATE in self._alarms
        if doubled and now - self._seen_at > GONE_AFTER_S:
            self._alarms.clear(DUPLICATE)
        self._ask_at = now + (ASK_AGAIN_S if doubled else ASK_EVERY_S)
        number = self._device & WILDCARD
        head = bytes((0x10, Unconfirmed.WHO_IS))
        return head + codec.context_unsigned(0, number) + codec.context_unsigned(1, number)

    @property
    def hint(self) -> str:
        """Why a BMS may not find the device, in words; "" while there is nothing to say."""
        if self._deaf:
            return self._deaf
        if self.broadcasts or self._now() - self._began < QUIET_S:
            return ""
        return (
            "no BACnet broadcast was heard since the start: is the mask of bacnet.address right, does a firewall block "
            "UDP, or does the BMS stand in another subnet (then say bacnet.foreign with the address of a BBMD)?"
        )
