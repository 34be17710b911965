"""Which objects, of whatever device, show which point of the table, and the way of a change into them.

Rules of this file: one subscription to the table for all devices; a change touches only the records of the changed
points.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from gateway.core.value import Sample
from gateway.engine.history import History
from gateway.engine.point_alarms import PointAlarms
from gateway.engine.table import PointTable
from gateway.servers.bacnet.alarm_properties import Shown
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.standard import INSTANCE_BITS


class Board:
    """The records by table index.

    Args:
        table: where the samples are; the board subscribes to it.
        alarms: of points; the first object of a point shows its alarm.
        history: of the points that have a trend; without one there are no Trend Logs.
    """

    def __init__(self, table: PointTable, alarms: PointAlarms | None = None, history: History | None = None) -> None:
        self._table = table
        self.history = history
        self._alarms = alarms
        self._by_index: dict[int, list[PointRecord]] = {}
        self._watched: Container[int] = ()
        self._tell: Callable[[PointRecord], None] = lambda _: None
        table.subscribe(self._changed)

    def observe(self, watched: Container[int], tell: Callable[[PointRecord], None]) -> None:
        """Calls `tell` with every record whose `uid` is in `watched` at the time that it shows a new sample."""
        self._watched, self._tell = watched, tell

    def add(self, record: PointRecord) -> None:
        """A record that shows its point from now on."""
        alarm = self._alarms.of(record.index) if self._alarms is not None else None
        if self._alarms is not None and alarm is not None and self.reporting(record.index) is None:
            record.report(Shown(alarm, self._alarms, record.key >> INSTANCE_BITS))
        self._by_index.setdefault(record.index, []).append(record)
        record.show(self._table.sample(record.index))

    def remove(self, record: PointRecord) -> None:
        """The record is no more."""
        records = self._by_index.get(record.index, [])
        records.remove(record)
        if not records:
            self._by_index.pop(record.index, None)

    def close(self) -> None:
        """The table is not followed any more."""
        self._table.unsubscribe(self._changed)

    def reporting(self, index: int) -> PointRecord | None:
        """The record that shows the alarm of a point."""
        return next((record for record in self._by_index.get(index, ()) if record.alarm is not None), None)

    def touch(self, record: PointRecord) -> None:
        """Something of a record is not what it was, though its sample is."""
        if record.uid in self._watched:
            self._tell(record)

    def show(self, record: PointRecord, sample: Sample) -> None:
        """Makes one record show a sample."""
        record.show(sample)
        if record.uid in self._watched:
            self._tell(record)

    def _changed(self, indices: Sequence[int]) -> None:
        by_index, sample, watched = self._by_index, self._table.sample, self._watched
        for index in indices:
            records = by_index.get(index)
            if records is not None:
                for record in records:
                    record.show(sample(index))
                    if record.uid in watched:
                        self._tell(record)
