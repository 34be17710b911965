"""The devices among others: a number of ours used twice (B08), and whether broadcasts are heard at all.

Rules of this file: what others say only ever raises an alarm or a hint; it changes nothing of what is served.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.codec import OBJECT_ID
from gateway.servers.bacnet.standard import INSTANCE_BITS, OBJECT_TYPES, WILDCARD, Unconfirmed
from gateway.servers.bacnet.tags import Malformed, Tags

DUPLICATE = "bacnet.duplicate"
ASK_EVERY_S, ASK_AGAIN_S, ASK_SOON_S = 600.0, 60.0, 5.0
"""Between two questions who else has our numbers; while somebody has; after there are more of them."""
GONE_AFTER_S = 200.0
"""A double that was asked three times without an answer has another number now, or is off."""
QUIET_S = 600.0


class Presence:
    """What the network tells about the gateway's devices.

    Args:
        device: the gateway's own device number.
        virtual: the numbers of the virtual devices, in order; grows.
        alarms: gets a double.
        now: monotonic time in seconds.
        hears: why broadcasts cannot be heard at all, in words; "" if they can.
    """

    def __init__(
        self, device: int, virtual: Sequence[int], alarms: Alarms, now: Callable[[], float], hears: str
    ) -> None:
        self._device = device
        self._virtual = virtual
        self._alarms = alarms
        self._now = now
        self._deaf = hears
        self._began = now()
        self._ask_at = self._began
        self._doubles: dict[int, tuple[float, str]] = {}
        self.broadcasts = 0

    def hear_i_am(self, body: bytes, client: str) -> None:
        """An I-Am of somebody else."""
        try:
            key = int.from_bytes(Tags(body).application(OBJECT_ID), "big")
        except Malformed:
            return
        number = key & WILDCARD
        if key >> INSTANCE_BITS != OBJECT_TYPES["device"] or not self._is_ours(number):
            return
        now = self._now()
        self._doubles[number] = (now, client)
        self._ask_at = min(self._ask_at, now + ASK_AGAIN_S)
        self._tell()

    def _is_ours(self, number: int) -> bool:
        at = bisect_left(self._virtual, number)
        return number == self._device or (at < len(self._virtual) and self._virtual[at] == number)

    def _tell(self) -> None:
        if not self._doubles:
            self._alarms.clear(DUPLICATE)
            return
        number, (_, client) = next(iter(self._doubles.items()))
        others = len(self._doubles) - 1
        more = f" ({others} more numbers are doubled too)" if others else ""
        text = f"{client} says it is BACnet device {number} too{more}; a number must be unique on the whole network: "
        key = "device.instance" if number == self._device else "first_instance"
        self._alarms.set(DUPLICATE, f"{text}change bacnet.{key} here or the number there")

    def ask_soon(self) -> None:
        """There are more numbers to ask for."""
        self._ask_at = min(self._ask_at, self._now() + ASK_SOON_S)

    def questions(self) -> list[bytes]:
        """Who-Is for our own numbers when it is time for it."""
        now = self._now()
        if now < self._ask_at:
            return []
        gone = [number for number, (seen_at, _) in self._doubles.items() if now - seen_at > GONE_AFTER_S]
        for number in gone:
            del self._doubles[number]
        if gone:
            self._tell()
        self._ask_at = now + (ASK_AGAIN_S if self._doubles else ASK_EVERY_S)
        ranges = [(self._device, self._device)]
        ranges += [(self._virtual[0], self._virtual[-1])] if self._virtual else []
        head = bytes((0x10, Unconfirmed.WHO_IS))
        return [head + codec.context_unsigned(0, low) + codec.context_unsigned(1, high) for low, high in ranges]

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
