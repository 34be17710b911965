"""All objects of a device by identifier and by name.

Rules of this file: an object, once placed, stays until a reload, and then too if its point is what it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.addressing import PlacedObject, PlacedPoint, PlacedTrend
from gateway.engine.history import History
from gateway.engine.likeness import Likeness, same_spec
from gateway.engine.ports import Commands
from gateway.servers.bacnet.board import Board
from gateway.servers.bacnet.device import NETWORK_PORT_INSTANCE, DeviceRecord, Identity
from gateway.servers.bacnet.kinds import RECORDS
from gateway.servers.bacnet.naming import check_template, fit, render
from gateway.servers.bacnet.objects import Record
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.revision import DatabaseRevision, Keeper
from gateway.servers.bacnet.standard import INSTANCE_BITS, OBJECT_TYPES, WILDCARD, object_key
from gateway.servers.bacnet.trend_log import TREND_LOG, TREND_TAIL, TrendRecord


class ObjectStore:
    """The objects of one device.

    Args:
        identity: of the Device object.
        board: tells the objects of the samples they show.
        commands: priority arrays and defaults.
        template: of Object_Name.
        keeper: of Database_Revision.

    Raises:
        ValueError: the template or the device instance is wrong.
    """

    def __init__(
        self,
        identity: Identity,
        board: Board,
        commands: Commands,
        template: str,
        keeper: Keeper,
    ) -> None:
        check_template(template)
        self.board = board
        self._commands = commands
        self._template = template
        self._objects: dict[int, Record] = {}
        self._by_name: dict[str, Record] = {}
        self.revision = DatabaseRevision(keeper)
        self.device = DeviceRecord(identity, self.revision)
        self._port_key = object_key("network-port", NETWORK_PORT_INSTANCE)
        self.put(self.device)

    def __len__(self) -> int:
        return len(self._objects)

    def rename(self, name: str, description: str) -> None:
        """Gives the device another name; a new Database_Revision (clause 12.11.24)."""
        device = self.device
        del self._by_name[device.name]
        self.revision.toggle(device)
        device.name, device.description = name, description
        self._by_name[name] = device
        self.revision.toggle(device)
        self.revision.changed()

    def uid(self, key: int) -> int:
        """An object's identifier among those of all devices: the Device object's before its own."""
        return self.device.key << 32 | key

    def put(self, record: Record) -> None:
        """Adds an object of the device itself, or puts it in the place of the one with its identifier."""
        if record.key not in self._objects:
            self.device.list_objects([record.key])
        self._add(record)

    def replace(self, kind: type[Record], records: Sequence[Record]) -> None:
        """Puts objects of the device itself in the place of all of their class."""
        before = self.revision.objects
        for record in [record for record in self._objects.values() if isinstance(record, kind)]:
            self._remove(record)
        self.device.relist(list(self._objects))
        for record in records:
            self.put(record)
        if self.revision.objects != before:
            self.revision.changed()

    def get(self, key: int) -> Record | None:
        """The object with this identifier; instance 4194303 is the Device or the port that requests come in by."""
        record = self._objects.get(key)
        if record is None and key & WILDCARD == WILDCARD:
            kind = key >> INSTANCE_BITS
            if kind == OBJECT_TYPES["device"]:
                return self.device
            if kind == OBJECT_TYPES["network-port"]:
                return self._objects.get(self._port_key)
        return record

    def find(self, name: str) -> Record | None:
        """The object with this Object_Name."""
        return self._by_name.get(name)

    def rebuild(self, points: Sequence[tuple[int, PlacedPoint]], template: str) -> None:
        """Exactly these points from now on, after a reload; what has changed is one new Database_Revision.

        Raises:
            ValueError: as place, or the template is wrong.
        """
        check_template(template)
        same_names, self._template, before = template == self._template, template, self.revision.objects
        wanted = {object_key(t.object, t.instance): (index, p) for index, p in points for t in p.objects}
        replaced, alike = False, Likeness()
        for record in list(self._objects.values()):
            if isinstance(record, PointRecord) and not (same_names and _shows(record, wanted.get(record.key), alike)):
                self._remove(record)
                self.board.remove(record)
                replaced = True
            elif isinstance(record, TrendRecord):
                self._remove(record)
        self.device.relist(list(self._objects))
        added = self._place_all(points)
        if replaced or self.revision.objects != before:
            self.revision.changed()
        for record in [self._objects[key] for key in added]:
            if isinstance(record, PointRecord):
                self.board.touch(record)

    def _remove(self, record: Record) -> None:
        del self._objects[record.key], self._by_name[record.name]
        self.revision.toggle(record)

    def place(self, points: Sequence[tuple[int, PlacedPoint]]) -> None:
        """Adds the objects of points that are not there yet and renames those whose point has another name now.

        Either is one new Database_Revision (clause 12.11.24).

        Raises:
            ValueError: an instance is out of range, or taken by another point.
        """
        before = self.revision.objects
        self._place_all(points)
        if self.revision.objects != before:
            self.revision.changed()

    def _place_all(self, points: Sequence[tuple[int, PlacedPoint]]) -> list[int]:
        """The same without a word about it; returns the identifiers of new objects."""
        added: list[int] = []
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
                    self._rename(there, placed, target.object, target.instance)
            if placed.trend is not None and self.board.history is not None:
                added += self._place_trend(index, placed, placed.trend, self.board.history)
        if added:
            self.device.list_objects(added)
        return added

    def _place_trend(self, index: int, placed: PlacedPoint, target: PlacedTrend, history: History) -> list[int]:
        """A point's Trend Log, beside the object it keeps; its identifier if it is new."""
        key, log = object_key(TREND_LOG, target.instance), history.log(index)
        there, of = self._objects.get(key), self._objects.get(object_key(target.of.object, target.of.instance))
        if log is None or not isinstance(of, PointRecord):
            return []
        if there is None:
            name = self._free_name(placed, TREND_LOG, target.instance, TREND_TAIL)
            self._add(TrendRecord(key, name, placed.name, of, log, history))
            return [key]
        if not isinstance(there, TrendRecord) or there.of is not of:
            raise ValueError(f"bacnet: {TREND_LOG} {target.instance} of {placed.name} is {there.name}")
        if there.source != placed.name:
            self._rename(there, placed, TREND_LOG, target.instance, TREND_TAIL)
        return []

    def _rename(
        self, record: PointRecord | TrendRecord, placed: PlacedPoint, kind: str, instance: int, tail: str = ""
    ) -> None:
        del self._by_name[record.name]
        self.revision.toggle(record)
        record.source, record.name = placed.name, self._free_name(placed, kind, instance, tail)
        self._by_name[record.name] = record
        self.revision.toggle(record)

    def _free_name(self, placed: PlacedPoint, kind: str, instance: int, tail: str = "") -> str:
        """An Object_Name nobody has yet: the instance is added where the template gives one twice."""
        name = fit(render(self._template, placed.name), tail)
        while name in self._by_name:  # once, unless a product names something so as well
            name = fit(name, f"#{kind}-{instance}")
        return name

    def _place(self, key: int, index: int, placed: PlacedPoint, target: PlacedObject) -> None:
        name = self._free_name(placed, target.object, target.instance)
        make = RECORDS[target.object]
        record = make(key, name, placed.name, index, placed.spec, target.spec, self._commands)
        record.uid = self.uid(key)
        self._add(record)
        self.board.add(record)

    def _add(self, record: Record) -> None:
        if record.key not in self._objects:
            self.revision.toggle(record)
        self._objects[record.key] = record
        self._by_name[record.name] = record


def _shows(record: PointRecord, wanted: tuple[int, PlacedPoint] | None, alike: Likeness) -> bool:
    """Whether an object is what is wanted at its place already."""
    if wanted is None or (record.index, record.source) != (wanted[0], wanted[1].name):
        return False
    return alike.same(record.spec, wanted[1].spec, same_spec)
