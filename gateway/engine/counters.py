"""Energy counters of replaced equipment: one that begins again is told once, with both values (FAULTS I02).

Rules of this file: it is asked only while something was just replaced; a counter that went on is no news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from gateway.core.value import GOOD, Sample
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable

UNITS = frozenset({"Wh", "kWh", "MWh", "varh", "kvarh"})
MOST = 1000
log = structlog.get_logger("counters")


class Counters:
    """Counters whose next value is compared with the last one before the replacement; falsy when there is none.

    `restarted` are the newest restarts by point name: value before and after.
    """

    def __init__(self, table: PointTable) -> None:
        self._table = table
        self._before: dict[int, float] = {}
        self.restarted: dict[str, tuple[float, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._before)

    def watch(self, resource: Resource) -> None:
        """Something else stands behind this name now: remembers where its counters were."""
        for name, spec in resource.kind.points.items():
            # What has a value for "absent" begins again by itself, such as the energy of a charging session.
            if spec.unit not in UNITS or spec.read is None or spec.absent is not None:
                continue
            last = self._table.last_value(resource.indices[name])
            if isinstance(last, (int, float)):
                self._before[resource.indices[name]] = float(last)

    def forget(self, indices: Iterable[int]) -> None:
        """These points are no more."""
        for index in indices:
            self._before.pop(index, None)

    def compare(self, samples: Mapping[int, Sample]) -> None:
        """Looks at the samples of one answer; each watched counter is compared once."""
        for index in self._before.keys() & samples.keys():
            value, quality, *_ = samples[index]
            if quality is not GOOD or not isinstance(value, (int, float)):
                continue
            before = self._before.pop(index)
            if value < before:
                name = self._table.names[index]
                log.warning("counter.restarted", point=name, old=before, new=value)
                if len(self.restarted) < MOST or name in self.restarted:
                    self.restarted[name] = (before, float(value))
