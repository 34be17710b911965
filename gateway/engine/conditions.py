"""How each resource is: the worst quality of its points, its newest answer, and the three status words that say so.

Rules of this file: a resource all of whose points are good costs one look at the time of its answer, for it is
looked through again only when one of its points was told to be anything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from gateway.core.point import STATUS_POINTS
from gateway.core.value import GOOD, Quality, Sample
from gateway.engine.inventory import measured
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable

QUALITY, TIME = itemgetter(1), itemgetter(3)
NOTHING_SHOWN = -1
"""No age and no quality: the first words are always written."""


@dataclass(slots=True)
class _Watched:
    """One resource: what it is judged by, and what its status words show.

    `pick` takes the points of its quickest reads at once (one index stands twice: one alone would give no tuple),
    `signs` is one of them for each read: while all are good, the others have its time.
    """

    words: tuple[int | None, ...]
    pick: Callable[[Sequence[Sample]], tuple[Sample, ...]] | None = None
    others: list[int] = field(default_factory=list)
    signs: tuple[int, ...] = ()
    all_good: bool = False
    online: int = NOTHING_SHOWN
    quality: int = NOTHING_SHOWN
    age_s: int | None = NOTHING_SHOWN


class Conditions:
    """The status words of every resource."""

    def __init__(self, table: PointTable) -> None:
        self._table = table
        self._watched: dict[Resource, _Watched] = {}
        self._owner: dict[int, _Watched] = {}
        table.subscribe(self._changed)

    def judge(self, resource: Resource, now: float, batch: dict[int, Sample]) -> None:
        """Puts those status words of a resource of a product into the batch that are not what they were."""
        watched = self._watched.get(resource) or self._watch(resource)
        if watched.all_good:
            sample = self._table.sample
            newest = sample(watched.signs[0])[3]
            for sign in watched.signs[1:]:
                newest = max(newest, sample(sign)[3])
            self._show(watched, int(resource.present), GOOD, now - newest, now, batch)
        else:
            quality, newest, fresh = self._condition(watched)
            watched.all_good = fresh and quality is GOOD and bool(watched.signs)
            self._show(watched, int(resource.present and fresh), quality, now - newest, now, batch)

    def forget(self) -> None:
        """Resources have other points now: all are looked through again."""
        self._watched.clear()
        self._owner.clear()

    def show(
        self, resource: Resource, quality: Quality, age_s: float, fresh: bool, now: float, batch: dict[int, Sample]
    ) -> None:
        """The same with a condition that the caller knows."""
        watched = self._watched.get(resource)
        if watched is None:
            watched = self._watched[resource] = _Watched(_words(resource))
        self._show(watched, int(resource.present and fresh), quality, age_s, now, batch)

    @staticmethod
    def _show(
        watched: _Watched, online: int, quality: Quality, age_s: float, now: float, batch: dict[int, Sample]
    ) -> None:
        at_online, at_quality, at_age = watched.words
        seconds = int(age_s) if age_s != math.inf else None
        if seconds != watched.age_s:
            watched.age_s = seconds
            if at_age is not None:
                batch[at_age] = Sample(seconds, GOOD, "", now)
        if online != watched.online:
            watched.online = online
            if at_online is not None:
                batch[at_online] = Sample(online, GOOD, "", now)
        if quality != watched.quality:
            watched.quality = int(quality)
            if at_quality is not None:
                batch[at_quality] = Sample(int(quality), GOOD, "", now)

    def _condition(self, watched: _Watched) -> tuple[Quality, float, bool]:
        """The worst quality of a resource's points, the time of its newest answer, and whether any is fresh."""
        specs, sample_of = self._table.specs, self._table.sample
        worst, newest, fresh = GOOD, -math.inf, False
        if watched.pick is not None:
            samples = self._table.samples(watched.pick)
            worst, newest = max(map(QUALITY, samples)), max(map(TIME, samples))
            fresh = min(map(QUALITY, samples)) is GOOD
        for index in watched.others:
            spec, sample = specs[index], sample_of(index)
            if spec.optional and sample.time == -math.inf:
                continue
            worst = max(worst, sample.quality)
            if watched.pick is None and spec.derive is None and spec.member_of is None:
                newest = max(newest, sample.time)
                fresh = fresh or sample.quality is GOOD
        return worst, newest, fresh

    def _watch(self, resource: Resource) -> _Watched:
        """A resource's points, chosen once: those of its quickest reads, by which it is judged, and the others.

        A value read once a minute is fresh for minutes and would hide that the product is gone.
        """
        specs = self._table.specs
        points = measured(resource)
        read = [i for i in points if specs[i].derive is None and specs[i].member_of is None]
        spec_of = {
            resource.indices[f"{name}.applied" if spec.command else name]: spec
            for name, spec in resource.kind.points.items()
        }
        soonest = min((spec_of[i].stale_after_s for i in read), default=0.0)
        answered = [i for i in read if not specs[i].optional and spec_of[i].stale_after_s == soonest]
        watched = self._watched[resource] = _Watched(_words(resource))
        watched.others = [i for i in points if i not in answered]
        if answered:
            watched.pick = itemgetter(*answered, answered[0])
            watched.signs = tuple({spec_of[i].read: i for i in answered}.values())
        self._owner.update(dict.fromkeys(points, watched))
        return watched

    def _changed(self, indices: Sequence[int]) -> None:
        """What is not good any more is looked through at the next second."""
        sample, owner = self._table.sample, self._owner
        for index in indices:
            if sample(index)[1] is not GOOD and index in owner:
                owner[index].all_good = False


def _words(resource: Resource) -> tuple[int | None, ...]:
    return tuple(resource.indices.get(name) for name in STATUS_POINTS)
