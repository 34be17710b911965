"""The point table: every served value, its quality, reason and time; one synchronous step per upstream answer.

Rules of this file: nothing awaits; subscribers are called once per step with every index that changed, after all
values of the step (derived ones too) are in place; a bad sample without a value keeps the last one, so that
`hold` can show it, and readers judge by quality; `time` is always that of the last good value, so that
an age never looks fresh.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from gateway.core.point import PointSpec
from gateway.core.value import BAD, GOOD, STALE, Quality, Sample, Value
from gateway.engine.ports import Clock

Subscriber = Callable[[Sequence[int]], None]
Derivation = Callable[[Sequence[Sample]], tuple[Value | None, Quality, str]]
NEVER = -math.inf
BAD_AFTER = 3.0
"""A value is bad after this many times its stale time."""


class PointTable:
    """All points by index; an index never changes while the process lives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.names: list[str] = []
        self.specs: list[PointSpec] = []
        self._index: dict[str, int] = {}
        self._samples: list[Sample] = []
        self._not_good: set[int] = set()
        self._aging: dict[float, list[int]] = {}
        self._blame: dict[int, str] = {}
        self._aged: set[int] = set()
        self._subscribers: list[Subscriber] = []
        self._derived: dict[int, tuple[Sequence[int], Derivation]] = {}
        self._feeds: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def add(
        self, name: str, spec: PointSpec, reason: str = "not read yet", *, stale_after_s: float | None = None
    ) -> int:
        """Adds a point without a value; returns its index.

        Only what comes from a read of its own grows stale by itself, after its spec's time or `stale_after_s`.

        Raises:
            ValueError: the name exists.
        """
        if name in self._index:
            raise ValueError(name)
        index = len(self.names)
        self.names.append(name)
        self.specs.append(spec)
        self._index[name] = index
        self._samples.append(Sample(None, BAD, reason, NEVER))
        self._not_good.add(index)
        if stale_after_s is None:
            measured = spec.read is not None and spec.command is None
            stale_after_s = spec.stale_after_s if measured else math.inf
        if stale_after_s != math.inf:
            self._aging.setdefault(stale_after_s, []).append(index)
        return index

    def rename(self, index: int, name: str) -> None:
        """Gives a point another full name (its resource was renamed in the product)."""
        del self._index[self.names[index]]
        self.names[index] = name
        self._index[name] = index

    def find(self, name: str) -> int | None:
        """The index of a point's full name."""
        return self._index.get(name)

    def sample(self, index: int) -> Sample:
        """The newest sample; `value` is the last known one whatever its quality."""
        return self._samples[index]

    def samples(self, pick: Callable[[Sequence[Sample]], tuple[Sample, ...]]) -> tuple[Sample, ...]:
        """Many samples at once; `pick` is an operator.itemgetter of at least two indices."""
        return pick(self._samples)

    def bad(self) -> list[int]:
        """Points without a usable value; optional ones that were never seen do not count."""
        worst = [index for index in self._not_good if self._samples[index].quality > STALE]
        return sorted(index for index in worst if not self.specs[index].optional or self.seen(index))

    def last_value(self, index: int) -> Value | None:
        """The newest value there ever was, whatever became of it since."""
        return self._samples[index].value

    def good_value(self, index: int) -> Value | None:
        """The value if it is good or stale, else None."""
        sample = self._samples[index]
        return sample.value if sample.quality <= STALE else None

    def seen(self, index: int) -> bool:
        """Whether the point ever had a value (an optional point is shown only then)."""
        return self._samples[index].time != NEVER

    def age_s(self, index: int) -> float:
        """Seconds since the last good value, infinite if there never was one."""
        return self._clock.monotonic() - self._samples[index].time

    def subscribe(self, subscriber: Subscriber) -> None:
        """Calls `subscriber` with the changed indices after every step."""
        self._subscribers.append(subscriber)

    def derive(self, target: int, inputs: Sequence[int], compute: Derivation) -> None:
        """Makes `target` a function of `inputs` (replacing an earlier one) and computes it now."""
        old = self._derived.get(target)
        if old is not None:
            for index in old[0]:
                self._feeds[index].remove(target)
        self._derived[target] = (inputs, compute)
        for index in inputs:
            self._feeds.setdefault(index, []).append(target)
        changed: list[int] = []
        self._rederive([target], changed)
        self._notify(changed)

    def update(self, batch: Iterable[tuple[int, Sample]]) -> None:
        """Takes the samples of one answer in one step."""
        changed: list[int] = []
        samples, blame, aged = self._samples, self._blame, self._aged
        for index, new in batch:
            value, quality, reason, _ = new
            was, was_quality, was_reason, was_time = samples[index]
            if value is None and quality > STALE:
                value = was
                samples[index] = Sample(was, quality, reason, was_time)
            else:
                samples[index] = new
            if blame:
                blame.pop(index, None)
            if aged:
                aged.discard(index)
            if value != was or quality is not was_quality or reason != was_reason:
                changed.append(index)
        self._rederive(self._fed_by(changed), changed)
        self._notify(changed)

    def forget(self, indices: Iterable[int], reason: str) -> None:
        """Drops values that are not these points' any more: even the last known one is another equipment's."""
        changed = [index for index in indices if self._samples[index].value is not None]
        for index in changed:
            self._samples[index] = Sample(None, BAD, reason, self._samples[index].time)
        self._rederive(self._fed_by(changed), changed)
        self._notify(changed)

    def fail(self, indices: Iterable[int], reason: str) -> None:
        """An answer did not come: values live on until they are stale, and then say why."""
        for index in indices:
            self._blame[index] = reason
        changed = list(self._blame_waiting(indices))
        self._rederive(self._fed_by(changed), changed)
        self._notify(changed)

    def _blame_waiting(self, indices: Iterable[int]) -> Iterable[int]:
        """Points that never had a value, or whose value grew old, show the newest reason at once."""
        for index in indices:
            old = self._samples[index]
            reason = self._blame[index]
            waiting = index in self._aged or (old.time == NEVER and old.quality is BAD)
            if waiting and old.reason != reason:
                self._samples[index] = old._replace(reason=reason)
                yield index

    def tick(self) -> None:
        """Makes old values stale and stale ones bad; call about once a second."""
        now = self._clock.monotonic()
        changed: list[int] = []
        samples = self._samples
        for stale_after_s, indices in self._aging.items():
            freshest = now - stale_after_s
            for index in [i for i in indices if samples[i][3] < freshest]:
                sample = samples[index]
                if sample.quality > STALE:
                    continue
                quality = BAD if now - sample.time > BAD_AFTER * stale_after_s else STALE
                if quality is sample.quality:
                    continue
                reason = self._blame.get(index, "no answer")
                samples[index] = Sample(sample.value, quality, reason, sample.time)
                self._aged.add(index)
                changed.append(index)
        self._rederive(self._fed_by(changed), changed)
        self._notify(changed)

    def _fed_by(self, changed: Sequence[int]) -> list[int]:
        """Derived points with a changed input, each once."""
        if not self._feeds:
            return []
        feeds = self._feeds
        targets: dict[int, None] = {}
        for index in changed:
            for target in feeds.get(index, ()):
                targets[target] = None
        return list(targets)

    def _rederive(self, targets: Sequence[int], changed: list[int]) -> None:
        """Computes derived points, then those fed by them; a circle ends after as many rounds as there are points."""
        for _ in range(len(self._derived)):
            if not targets:
                return
            moved: list[int] = []
            self._compute(targets, moved)
            changed += moved
            targets = self._fed_by(moved)

    def _compute(self, targets: Sequence[int], changed: list[int]) -> None:
        now = self._clock.monotonic()
        for target in targets:
            inputs, compute = self._derived[target]
            old = self._samples[target]
            value, quality, reason = compute([self._samples[index] for index in inputs])
            usable = value is not None and quality <= STALE
            new = Sample(value if usable else old.value, quality, reason, now if usable else old.time)
            self._samples[target] = new
            if new[:3] != old[:3]:
                changed.append(target)

    def _notify(self, changed: Sequence[int]) -> None:
        samples, not_good = self._samples, self._not_good
        for index in changed:
            if samples[index][1] is not GOOD:
                not_good.add(index)
            elif index in not_good:
                not_good.discard(index)
        if changed:
            for subscriber in self._subscribers:
                subscriber(changed)


__all__ = ["BAD_AFTER", "GOOD", "NEVER", "PointTable"]
