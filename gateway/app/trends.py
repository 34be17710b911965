"""The history of the site's points: recorder and archive put together."""

from __future__ import annotations

from pathlib import Path

from gateway.engine.alarms import Alarms
from gateway.engine.ports import Clock
from gateway.engine.recorder import Recorder
from gateway.engine.table import PointTable
from gateway.store.history import SqliteHistory


def recorder_of(folder: Path, table: PointTable, clock: Clock, alarms: Alarms) -> Recorder:
    """A recorder that keeps what it records in a state directory."""
    archive = SqliteHistory(folder)
    recorder = Recorder(table, clock, archive, alarms)
    archive.on_fault, archive.on_lost = recorder.on_fault, recorder.on_lost
    return recorder
