"""The point table: every served value, its quality, reason and time; one synchronous step per upstream answer.

Rules of this file: nothing awaits; subscribers are called once per step with every index that changed, after all
values of the step (derived ones too) are in place; a bad sample without a value keeps the last one, so that
`hold` can show it, and readers judge by quality; `time` is always that of the last good value, so that
an age never looks fresh; a point that a person forced shows that value to everybody, and what comes meanwhile stands
aside until the force ends.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from gateway.core.point import PointSpec
from gateway.core.value import BAD, GOOD, STALE, Quality, Sample, Value, ValueKind
from gateway.engine.ports import Clock

Subscriber = Callable[[Sequence[int]], None]
Derivation = Callable[[Sequence[Sample]], tuple[Value | None, Quality, str]]
NEVER = -math.inf
RETIRED = PointSpec(name="retired", kind=ValueKind.NUMBER, builtin=True, optional=True)
"""What stands at the index of a point that the configuration does not have any more."""
BAD_AFTER = 3.0
"""A value is bad after this many times its stale time."""


class PointTable:
    """All points by index; an index never changes while the process lives, and waits for its point to come back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.names: list[str] = []
        self.specs: list[PointSpec] = []
        self._index: dict[str, int] = {}
        self._retired: dict[str, int] = {}
        self._samples: list[Sample] = []
        self._not_good: set[int] = set()
        self._aging: dict[float, dict[int, None]] = {}
        self._blame: dict[int, str] = {}
        self._aged: set[int] = set()
        self._subscribers: list[Subscriber] = []
        self._derived: dict[int, tuple[Sequence[int], Derivation]] = {}
        self._feeds: dict[int, list[int]] = {}
        self._aside: dict[int, Sample] = {}
        self._doubtful: set[int] = set()

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
        index = self._retired.pop(name, len(self.names))
        if index == len(self.names):
            self.names.append(name)
            self.specs.append(spec)
            self._samples.append(Sample(None, BAD, reason, NEVER))
        self.specs[index], self._samples[index] = spec, Sample(None, BAD, reason, NEVER)
        self._index[name] = index
        self._not_good.add(index)
        self._age(index, spec, stale_after_s)
        return index

    def _age(self, index: int, spec: PointSpec, stale_after_s: float | None) -> None:
        if stale_after_s is None:
            measured = spec.read is not None and spec.command is None
            stale_after_s = spec.stale_after_s if measured else math.inf
        if stale_after_s != math.inf:
            self._aging.setdefault(stale_after_s, {})[index] = None

    def _age_no_more(self, indices: Iterable[int]) -> None:
        for aging in self._aging.values():
            for index in indices:
                aging.pop(index, None)

    def respec(self, specs: Mapping[int, tuple[PointSpec, float | None]]) -> None:
        """Gives points other specs, each with its stale time as in `add`; what they show stays until `forget`."""
        self._age_no_more(specs)
        for index, (spec, stale_after_s) in specs.items():
            self.specs[index] = spec
            self._age(index, spec, stale_after_s)
            if spec.derive is None:
                self._derive_no_more(index)

    def retire(self, indices: Sequence[int]) -> None:
        """Takes points out: nothing finds them any more. Their indices are kept for points of the same names."""
        gone = frozenset(indices)
        self._age_no_more(indices)
        for index in indices:
            self._derive_no_more(index)
            del self._index[self.names[index]]
            self._retired[self.names[index]] = index
            self.specs[index] = RETIRED
            self._samples[index] = Sample(None, BAD, "not in the configuration any more", NEVER)
            self._blame.pop(index, None)
            self._aside.pop(index, None)
        self._aged -= gone
        changed = list(indices)
        self._rederive(self._fed_by(indices), changed)
        self._notify(list(dict.fromkeys([*changed, *self._doubt()])))
        self._not_good -= gone

    def is_retired(self, index: int) -> bool:
        """Whether the point that had this index is not in the configuration any more."""
        return self.specs[index] is RETIRED

    def _derive_no_more(self, target: int) -> None:
        inputs, _ = self._derived.pop(target, ((), None))
        for index in inputs:
            self._feeds[index].remove(target)

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

    def qualities(self) -> Counter[Quality]:
        """How many points have each quality; optional ones that were never seen do not count."""
        counts = Counter(self._samples[i].quality for i in self._not_good if not self.specs[i].optional or self.seen(i))
        counts[GOOD] = len(self.names) - len(self._not_good) - len(self._retired)
        return counts

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

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Calls it no more; one that was never subscribed is fine."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    def derive(self, target: int, inputs: Sequence[int], compute: Derivation) -> None:
        """Makes `target` a function of `inputs` (replacing an earlier one) and computes it now."""
        self._derive_no_more(target)
        self._derived[target] = (inputs, compute)
        for index in inputs:
            self._feeds.setdefault(index, []).append(target)
        changed: list[int] = []
        self._rederive([target], changed)
        self._notify(list(dict.fromkeys([*changed, *self._doubt()])) if self._aside else changed)

    def update(self, batch: Iterable[tuple[int, Sample]]) -> None:
        """Takes the samples of one answer in one step."""
        changed: list[int] = []
        samples, blame, aged = self._samples, self._blame, self._aged
        if self._aside:
            batch = self._not_forced(batch)
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

    # -- out of service ------------------------------------------------------------------------------------------

    def force(self, index: int, value: Value, reason: str) -> None:
        """Shows `value` for a point, whatever its source says; `reason` begins with `OUT_OF_SERVICE`."""
        self._aside.setdefault(index, self._samples[index])
        self._samples[index] = Sample(value, GOOD, reason, self._clock.monotonic())
        self._told(index)

    def unforce(self, index: int) -> None:
        """Shows what the source says again; a point that is not forced is left as it is."""
        sample = self._aside.pop(index, None)
        if sample is not None:
            self._samples[index] = sample
            self._told(index)

    @property
    def any_forced(self) -> bool:
        """Whether any point shows a person's value."""
        return bool(self._aside)

    def is_forced(self, index: int) -> bool:
        """Whether a person's value is shown for a point."""
        return index in self._aside

    def downstream(self, index: int) -> set[int]:
        """A point and everything that is derived from it, however many steps away."""
        found, newest = {index}, [index]
        while newest:
            newest = [target for target in self._fed_by(newest) if target not in found]
            found.update(newest)
        return found

    def is_doubtful(self, index: int) -> bool:
        """Whether what a point shows is not what was measured: it is forced, or derived from one that is."""
        return index in self._doubtful

    def _told(self, index: int) -> None:
        """A force began or ended."""
        changed = [index]
        self._rederive(self._fed_by(changed), changed)
        self._notify(list(dict.fromkeys([*changed, *self._doubt()])))

    def _doubt(self) -> set[int]:
        """Finds out anew what is doubtful; returns what has become so, or is so no more: listeners are told of it."""
        before, self._doubtful = self._doubtful, {each for forced in self._aside for each in self.downstream(forced)}
        return before ^ self._doubtful

    def _not_forced(self, batch: Iterable[tuple[int, Sample]]) -> Iterable[tuple[int, Sample]]:
        """What is left of a batch when the samples of forced points were put aside."""
        for index, new in batch:
            if index in self._aside:
                self._put_aside(index, new)
            else:
                yield index, new

    def _put_aside(self, index: int, new: Sample) -> None:
        was = self._aside[index]
        lost = new.value is None and new.quality > STALE
        self._aside[index] = Sample(was.value, new.quality, new.reason, was.time) if lost else new

    def forget(self, indices: Iterable[int], reason: str) -> None:
        """Drops values that are not these points' any more: even the last known one is another equipment's."""
        indices = list(indices)
        for index in indices:
            self._aside.pop(index, None)
        changed = [index for index in indices if self._samples[index].value is not None]
        for index in changed:
            self._samples[index] = Sample(None, BAD, reason, self._samples[index].time)
        self._rederive(self._fed_by(changed), changed)
        self._notify(list(dict.fromkeys([*changed, *self._doubt()])))

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
            if index in self._aside:
                continue
            old = self._samples[index]
            reason = self._blame[index]
            waiting = index in self._aged or (old.time == NEVER and old.quality is BAD)
            if waiting and old.reason != reason:
                self._samples[index] = old._replace(reason=reason)
                yield index

    def slept(self, seconds: float) -> None:
        """The machine was suspended, which no monotonic time counts: every measured value is so much older."""
        for indices in self._aging.values():
            for index in indices:
                kept = self._aside if index in self._aside else self._samples
                kept[index] = kept[index]._replace(time=kept[index].time - seconds)

    def tick(self) -> None:
        """Makes old values stale and stale ones bad; call about once a second."""
        now = self._clock.monotonic()
        changed: list[int] = []
        samples = self._samples
        for stale_after_s, indices in self._aging.items():
            freshest = now - stale_after_s
            for index in [i for i in indices if samples[i][3] < freshest]:
                sample = samples[index]
                if sample.quality > STALE or index in self._aside:
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
            forced = self._aside.get(target)
            old = forced or self._samples[target]
            value, quality, reason = compute([self._samples[index] for index in inputs])
            usable = value is not None and quality <= STALE
            new = Sample(value if usable else old.value, quality, reason, now if usable else old.time)
            if forced is not None:
                self._aside[target] = new
                continue
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
