"""The virtual devices behind the gateway's router (ASHRAE 135 annex H.1.1.2), each with objects of its own.

Rules of this file: a device, once there, stays; its MAC address is its instance; what serves requests is made when the
first one comes, so that a device nobody asks costs its objects only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence

from bacpypes3.comm import Server, bind
from bacpypes3.pdu import PDU, Address

from gateway.addressing import PlacedDevice, PlacedPoint
from gateway.servers.bacnet.discovery import Search, i_am, i_have, search
from gateway.servers.bacnet.naming import check_template, fit, render_device
from gateway.servers.bacnet.rollcall import Answer, RollCall
from gateway.servers.bacnet.stack import TIME_SERVICES, UNCONFIRMED, Responder, peer_of
from gateway.servers.bacnet.standard import Unconfirmed, object_key
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.timekeeping import Timekeeping

MAC_OCTETS = 3
Send = Callable[[bytes, bytes, Address], Awaitable[None]]
"""MAC address of the sender, APDU, receiver."""
Open = Callable[[PlacedDevice, str], ObjectStore]
"""Makes the objects of a new device, which gets this name."""


def mac_of(instance: int) -> bytes:
    """The virtual MAC address of a device (annex H.7.2: its instance in three octets)."""
    return instance.to_bytes(MAC_OCTETS, "big")


class Outlet(Server[PDU]):  # type: ignore[misc]  # bacpypes3 has no types
    """The network layer below one virtual device's application layer."""

    def __init__(self, mac: bytes, send: Send) -> None:
        super().__init__()
        self._mac = mac
        self._send = send

    async def indication(self, pdu: PDU) -> None:
        """Sends an APDU."""
        await self._send(self._mac, bytes(pdu.pduData), pdu.pduDestination)


class VirtualDevice:
    """One device: its objects, and what serves them once it was asked for."""

    __slots__ = ("label", "mac", "responder", "store")

    def __init__(self, placed: PlacedDevice, store: ObjectStore) -> None:
        self.label = placed.label
        self.mac = mac_of(placed.instance)
        self.store = store
        self.responder: Responder | None = None


class Fleet:
    """All virtual devices.

    Args:
        vendor_id: for I-Am.
        template: of their Object_Names.
        taken: names that other devices have.
        open_store: makes the objects of a new one.
        respond: makes what serves its requests.
        timekeeping: hears the time.
        wake: called when something waits to be said.

    Attributes:
        numbers: all instances, in order.
        calls: what waits to be said in answer to Who-Is and Who-Has, and in introduction.
    """

    def __init__(
        self,
        vendor_id: int,
        template: str,
        taken: Sequence[str],
        open_store: Open,
        respond: Callable[[ObjectStore], Responder],
        timekeeping: Timekeeping,
        wake: Callable[[], None],
    ) -> None:
        check_template(template, "device_name")
        self._vendor_id, self._template, self._open, self._respond = vendor_id, template, open_store, respond
        self._timekeeping = timekeeping
        self._by_mac: dict[bytes, VirtualDevice] = {}
        self._by_instance: dict[int, VirtualDevice] = {}
        self._names = set(taken)
        self._send: Send | None = None
        self._started = False
        self.numbers: list[int] = []
        self.calls = RollCall(wake)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[VirtualDevice]:
        return iter(self._by_instance.values())

    @property
    def objects(self) -> int:
        """Objects of all devices."""
        return sum(len(device.store) for device in self)

    def start(self, send: Send) -> None:
        """Everything of the last run is placed, and there is a network now."""
        self._send, self._started = send, True
        for device in self:
            device.store.revision.settle()

    # -- objects -------------------------------------------------------------------------------------------------

    def place(self, points: Sequence[tuple[int, PlacedPoint]]) -> bool:
        """Serves more points, each of which names its device; returns whether there are more devices now.

        Raises:
            ValueError: an object instance is out of range or taken by another point.
        """
        by_device: dict[PlacedDevice, list[tuple[int, PlacedPoint]]] = {}
        for index, point in points:
            if point.device is not None and point.objects:
                by_device.setdefault(point.device, []).append((index, point))
        before = len(self)
        for placed, theirs in by_device.items():
            device = self._by_instance.get(placed.instance) or self._add(placed)
            if device.label != placed.label:
                self._rename(device, placed)
            device.store.place(theirs)
            if self._started and device.store.revision.value == 0:
                device.store.revision.settle()
        return len(self) > before

    def rebuild(self, points: Sequence[tuple[int, PlacedPoint]], template: str) -> None:
        """As ObjectStore.rebuild, for all devices; one that shows no point any more is gone."""
        by_device: dict[int, list[tuple[int, PlacedPoint]]] = {}
        for index, point in points:
            if point.device is not None and point.objects:
                by_device.setdefault(point.device.instance, []).append((index, point))
        for instance, device in list(self._by_instance.items()):
            if instance not in by_device:
                del self._by_instance[instance], self._by_mac[device.mac]
                self.numbers.remove(instance)
                self._names.discard(device.store.device.name)
                if device.responder is not None:
                    device.responder.parts.management.end()
            device.store.rebuild(by_device.get(instance, []), template)
        self.place(points)

    def _add(self, placed: PlacedDevice) -> VirtualDevice:
        device = VirtualDevice(placed, self._open(placed, self._free_name(placed)))
        self._by_instance[placed.instance] = self._by_mac[device.mac] = device
        insort(self.numbers, placed.instance)
        if self._started:
            self.calls.announce([placed.instance])
        return device

    def _free_name(self, placed: PlacedDevice) -> str:
        """An Object_Name that no other device has: the instance is added where the template gives one twice."""
        name = render_device(self._template, placed.label)
        while name in self._names:
            name = fit(name, f"#{placed.instance}")
        self._names.add(name)
        return name

    def _rename(self, device: VirtualDevice, placed: PlacedDevice) -> None:
        self._names.discard(device.store.device.name)
        device.label = placed.label
        device.store.rename(self._free_name(placed), placed.label)

    # -- requests ------------------------------------------------------------------------------------------------

    def serves(self, mac: bytes) -> Responder | None:
        """What answers for a MAC address of the virtual network; None if nobody has it."""
        device = self._by_mac.get(mac)
        if device is None or self._send is None:
            return None
        if device.responder is None:
            device.responder = self._respond(device.store)
            bind(device.responder, Outlet(device.mac, self._send))
        return device.responder

    def i_am(self, number: int) -> bytes:
        """An I-Am of a device."""
        return i_am(object_key("device", number), self._vendor_id)

    def tick(self) -> None:
        """Devices that were told to be silent for a time speak again when it is over."""
        for device in self:
            if device.responder is not None:
                device.responder.parts.management.tick()

    def introduce(self, silent: Container[int]) -> None:
        """Lines up the I-Am of every device to everybody, but for those whose identifiers are in `silent`."""
        self.calls.announce(number for number in self.numbers if object_key("device", number) not in silent)

    def hear(self, apdu: bytes, source: Address) -> None:
        """A broadcast to the virtual network: whoever is looked for lines up to answer."""
        if len(apdu) < 2 or apdu[0] >> 4 != UNCONFIRMED:
            return
        if apdu[1] in TIME_SERVICES:
            self._timekeeping.hear(apdu[1], apdu[2:], peer_of(source).text)
        wanted = search(apdu[1], apdu[2:])
        if wanted is None:
            return
        if apdu[1] == Unconfirmed.WHO_IS:
            self.calls.answer(source, apdu, lambda: map(Answer, self._chosen(wanted)))
        else:
            self.calls.answer(source, apdu, lambda: self._having(wanted))

    def _chosen(self, wanted: Search) -> list[int]:
        return self.numbers[bisect_left(self.numbers, wanted.low) : bisect_right(self.numbers, wanted.high)]

    def _having(self, wanted: Search) -> Iterator[Answer]:
        """The I-Have of every device that has the object."""
        for number in self._chosen(wanted):
            store = self._by_instance[number].store
            record = wanted.found(store)
            if record is not None:
                yield Answer(number, i_have(store.device.key, record))
