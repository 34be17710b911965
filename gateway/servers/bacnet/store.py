"""All objects of the device by identifier and by name, and the way of a table change into them.

Rules of this file: an object, once placed, stays; a change touches only the records of the changed points.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from ipaddress import IPv4Interface

from gateway.addressing import PlacedObject, PlacedPoint
from gateway.core.value import Sample
from gateway.engine.ports import Commands
from gateway.engine.table import PointTable
from gateway.servers.bacnet.device import NETWORK_PORT_INSTANCE, DeviceRecord, Identity, PortRecord
from gateway.servers.bacnet.kinds import RECORDS
from gateway.servers.bacnet.naming import check_template, fit, render
from gateway.servers.bacnet.objects import Record
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.revision import DatabaseRevision, Keeper
from gateway.servers.bacnet.standard import INSTANCE_BITS, OBJECT_TYPES, WILDCARD, object_key


class ObjectStore:
    """The objects of one device.

    Args:
        identity: of the Device object.
        interface: address and mask of the Network Port object.
        table: where the samples are; the store subscribes to it.
        commands: priority arrays and defaults.
        template: of Object_Name.
        keeper: of Database_Revision.

    Raises:
        ValueError: the template or the device instance is wrong.
    """

    def __init__(
        self,
        identity: Identity,
        interface: IPv4Interface,
        table: PointTable,
        commands: Commands,
        template: str,
        keeper: Keeper,
    ) -> None:
        check_template(template)
        self._table = table
        self._commands = commands
        self._template = template
        self._interface = interface
        self._foreign = identity.foreign
        self._objects: dict[int, Record] = {}
        self._by_name: dict[str, Record] = {}
        self._by_index: dict[int, list[PointRecord]] = {}
        self._watched: Container[int] = ()
        self._tell: Callable[[PointRecord], None] = lambda _: None
        self.revision = DatabaseRevision(keeper)
        self.device = DeviceRecord(identity, self.revision)
        self._add(self.device)
        self._port_key = object_key("network-port", NETWORK_PORT_INSTANCE)
        self.listen_on(0)
        self.device.list_objects([self.device.key, self._port_key])
        table.subscribe(self._changed)

    def __len__(self) -> int:
        return len(self._objects)

    def observe(self, watched: Container[int], tell: Callable[[PointRecord], None]) -> None:
        """Calls `tell` with every object whose identifier is in `watched` at the time that it shows a new sample."""
        self._watched, self._tell = watched, tell

    def show(self, record: PointRecord, sample: Sample) -> None:
        """Makes an object show a sample."""
        record.show(sample)
        if record.key in self._watched:
            self._tell(record)

    def listen_on(self, udp_port: int) -> None:
        """Makes the Network Port object show the UDP port that is really used."""
        self._add(PortRecord(self._interface, udp_port, self._foreign))

    def get(self, key: int) -> Record | None:
        """The object with this identifier; instance 4194303 of Device and Network Port is the one there is."""
        record = self._objects.get(key)
        if record is None and key & WILDCARD == WILDCARD:
            kind = key >> INSTANCE_BITS
            if kind == OBJECT_TYPES["device"]:
                return self.device
            if kind == OBJECT_TYPES["network-port"]:
                return self._objects[self._port_key]
        return record

    def find(self, name: str) -> Record | None:
        """The object with this Object_Name."""
        return self._by_name.get(name)

    def place(self, points: Sequence[tuple[int, PlacedPoint]]) -> None:
        """Adds the objects of points that are not there yet and renames those whose point has another name now.

        Either is one new Database_Revision (clause 12.11.24).

        Raises:
            ValueError: an instance is out of range, or taken by another point.
        """
        added: list[int] = []
        renamed = False
        for index, placed in points:
            for target in placed.objects:
                key = object_key(target.object, target.instance)
                there = self._objects.get(key)
                if there is None:
                    self._place(key, index, placed, target)
                    added.append(key)
                elif not isinstance(there, PointRecord) or there.index != index:
                    raise ValueError(f"bacnet: {target.object} {target.instance} of {placed.name} is {there.name}")
                elif there.source != placed.name:
                    del self._by_name[there.name]
                    self.revision.toggle(there)
                    there.source, there.name = placed.name, self._free_name(placed, target)
                    self._by_name[there.name] = there
                    self.revision.toggle(there)
                    renamed = True
        if added:
            self.device.list_objects(added)
        if added or renamed:
            self.revision.changed()

    def _free_name(self, placed: PlacedPoint, target: PlacedObject) -> str:
        """An Object_Name nobody has yet: the instance is added where the template gives one twice."""
        name = render(self._template, placed.name)
        while name in self._by_name:  # once, unless a product names something so as well
            name = fit(name, f"#{target.object}-{target.instance}")
        return name

    def _place(self, key: int, index: int, placed: PlacedPoint, target: PlacedObject) -> None:
        name = self._free_name(placed, target)
        make = RECORDS[target.object]
        record = make(key, name, placed.name, index, placed.spec, target.spec, self._commands)
        self._add(record)
        self._by_index.setdefault(index, []).append(record)
        record.show(self._table.sample(index))

    def _add(self, record: Record) -> None:
        if record.key not in self._objects:
            self.revision.toggle(record)
        self._objects[record.key] = record
        self._by_name[record.name] = record

    def _changed(self, indices: Sequence[int]) -> None:
        by_index, sample, watched = self._by_index, self._table.sample, self._watched
        for index in indices:
            records = by_index.get(index)
            if records is not None:
                for record in records:
                    record.show(sample(index))
                    if record.key in watched:
                        self._tell(record)
