"""One commandable point: what may be asked of it, and how what is asked compares with what the product says.

Rules of this file: values are in the point's unit, raw values in the product's; whole raw numbers are rounded to
the tighter side; a limit whose range or default is not known yet cannot be judged and is refused.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.core.delivery import Authority, Delivery, Target
from gateway.core.errors import CommandRejected, Reject
from gateway.core.lease import HOLD, Loss
from gateway.core.point import CommandSpec, Factor, PointSpec
from gateway.core.priority import PriorityArray
from gateway.core.value import Value, ValueKind
from gateway.engine.intake import ReadBack
from gateway.engine.resource import NOT_PRESENT, NOT_READ, Resource

UNREAD = ("", NOT_READ, NOT_PRESENT)
"""Troubles under which a command is accepted and waits; any other inhibits the point."""
DIGITS = 7
LARGEST = sys.float_info.max
Basis = tuple[int, str | None, str | None, str | None]
"""Session, id, name and certificate under which a value was read: a PUT needs the same ones (C07)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for commands unless the mapping or an override says otherwise.

    `floor` in A; `lease_s` 0.0 is off; `max_downtime_s` 0.0 is never; `read_only`: nothing is ever sent.
    """

    floor: float
    allow_stop: bool
    dry_run: bool
    lease_s: float = 0.0
    on_loss: Loss = HOLD
    max_downtime_s: float = 86400.0
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """One resource's override of the policy."""

    floor: float | None = None
    allow_stop: bool | None = None
    lease_s: float | None = None
    on_loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be asked of a point, in its unit; None where there is no bound, or it is not known yet.

    `obstacle` says why nothing may be asked at all, "" when it may.
    """

    low: float | None
    high: float | None
    floor: float | None
    allow_stop: bool
    obstacle: str


@dataclass(eq=False, slots=True)
class Setpoint:
    """A commandable point with everything that is known of its command; `resolve` reads factors.

    Attributes:
        peers: the points whose commands leave in one request with this one's, this one among them.
        asked: the basis under which a GET of its own was last asked for.
        read: the newest read-back of this session.
        key: names its state in the journal.
        lease_s: what holds for groups that say nothing; 0.0 is off.
        on_loss: as `lease_s`.
        release_due: a release was accepted and is not verified yet (C06).
        committing: the winner after each accepted write whose commit is under way; it is aimed when that has ended.
        unjudged: restored, and its range is not known yet: nothing is sent (C10).
        released_by: which group released a slot last, by slot: its next release of that slot is a repetition (C06).
        aimed: the value, in its own unit, that the delivery's target stands for.
        sent: what left last.
        verified: what the product was last seen to hold of what left.
        found: the raw value that stood upstream when the first slot was taken; `found_due`: not read yet.
        inherited: everything an earlier run knew of this point, as raw values; None once something new was asked.
        missing: how many lists held its name when the product denied knowing its id (404).
        barred: the basis under which the product denied it again, and its words (FAULTS W07).
    """

    index: int
    spec: PointSpec
    command: CommandSpec
    resource: Resource
    resolve: Callable[[Resource, Factor | None], float | None]
    floor: float | None
    allow_stop: bool
    peers: tuple[Setpoint, ...] = ()
    read: ReadBack | None = None
    key: str = ""
    lease_s: float = 0.0
    on_loss: Loss = HOLD
    read_only: bool = False
    slots: PriorityArray = field(default_factory=PriorityArray)
    delivery: Delivery = field(default_factory=Delivery)
    accepted_at: float | None = None
    error: int = 0
    error_text: str = ""
    observed: bool = False
    basis: Basis | None = None
    asked: Basis | None = None
    release_due: bool = False
    committing: list[Value | None] = field(default_factory=list)
    unjudged: bool = False
    released_by: dict[int, str] = field(default_factory=dict)
    aimed: Value | None = None
    sent: Target | None = None
    verified: Target | None = None
    found: Value | None = None
    found_due: bool = False
    inherited: tuple[Value, ...] | None = None
    missing: int | None = None
    barred: tuple[Basis, str] | None = None

    def __post_init__(self) -> None:
        self.peers = self.peers or (self,)

    @property
    def inhibition(self) -> tuple[Reject, str] | None:
        """Why no value may be asked for now; releases may (C07)."""
        if self.read_only:
            return Reject.READ_ONLY, "the gateway is set to read only"
        if self.resource.trouble not in UNREAD:
            return Reject.INHIBITED, f"writing is inhibited: {self.resource.trouble}"
        if self.barred is not None:
            return Reject.INHIBITED, f"writing is inhibited: the product does not know it: {self.barred[1]}"
        return None

    @property
    def authority(self) -> Authority:
        """Who governs now; it describes the winning slot, or the released one if all are empty (C05)."""
        if self.inhibition is not None:
            return Authority.INHIBITED
        ruling = self.slots.ruling
        if ruling is not None and ruling.failsafe:
            return Authority.FAILSAFE
        if not self.observed:
            return Authority.INIT
        return Authority.CONTROLLED if self.slots.winner else Authority.AUTONOMOUS

    @property
    def label(self) -> str:
        """Its full name, for people."""
        return f"{self.resource.label}/{self.spec.name}"

    @property
    def default(self) -> Value | None:
        """Relinquish_Default in the point's unit, None while the point it refers to has no value."""
        number = self.resolve(self.resource, self.command.default)
        if number is None:
            return None
        match self.spec.kind:
            case ValueKind.BOOL:
                return bool(number)
            case ValueKind.ENUM:
                return int(number)
            case _:
                return number

    def judged(self, value: Value) -> Value:
        """The value in the point's own type, if it may be asked for (C02).

        Raises:
            CommandRejected: with the reason and what is allowed.
        """
        if self.inhibition is not None:
            raise CommandRejected(*self.inhibition)
        return self.allowed(value)

    def allowed(self, value: Value) -> Value:
        """The same without asking whether anything may be written now.

        Raises:
            CommandRejected: as `judged`; INHIBITED while its range or scale is not known.
        """
        match self.spec.kind:
            case ValueKind.STRING:
                if not isinstance(value, str):
                    raise CommandRejected(Reject.TYPE, "a text is needed")
                return value
            case ValueKind.BOOL:
                if isinstance(value, str) or value not in (0, 1):
                    raise CommandRejected(Reject.TYPE, "0 or 1 is needed")
                return bool(value)
            case ValueKind.ENUM:
                if isinstance(value, str) or value not in self.spec.codes.values():
                    codes = ", ".join(f"{code} {text}" for text, code in self.spec.codes.items())
                    raise CommandRejected(Reject.RANGE, f"the codes are {codes}")
                return int(value)
            case ValueKind.NUMBER:
                return self._judged_number(value)

    def _judged_number(self, value: Value) -> float:
        if isinstance(value, (str, bool)):
            raise CommandRejected(Reject.TYPE, "a number is needed")
        if abs(value) > LARGEST or not math.isfinite(value):
            raise CommandRejected(Reject.NOT_FINITE, "NaN and infinity are never a limit")
        if self.scale() is None:
            raise CommandRejected(Reject.INHIBITED, "its scale is not known yet")
        low, high = self._range()
        unit = self.spec.unit
        if not low <= value <= high:
            raise CommandRejected(Reject.RANGE, f"{value:g} is outside {low:g}..{high:g} {unit}".strip())
        if self.floor is not None and value < self.floor and not (self.allow_stop and value == 0):
            stop = "" if self.allow_stop else " and stopping is not allowed"
            raise CommandRejected(Reject.FLOOR, f"{value:g} is below the floor {self.floor:g} {unit}{stop}")
        return float(value) + 0.0  # no limit is -0.0

    @property
    def bounds(self) -> Bounds:
        """What a person may ask for, as far as it is known now."""
        low, high = (self.resolve(self.resource, bound) for bound in self.spec.range or (None, None))
        inhibition = self.inhibition
        return Bounds(low, high, self.floor, self.allow_stop, "" if inhibition is None else inhibition[1])

    @property
    def judgeable(self) -> bool:
        """Whether today's range and scale are known, so that a number can be judged."""
        if self.spec.kind is not ValueKind.NUMBER:
            return True
        bounds = [self.resolve(self.resource, bound) for bound in self.spec.range or ()]
        return None not in bounds and self.scale() is not None

    def nearest(self, value: Value) -> Value:
        """The value that `on_bms_loss` says, or the nearest one that today's range allows: it must never fail."""
        if self.spec.kind is not ValueKind.NUMBER or not isinstance(value, (int, float)):
            return int(value) if self.spec.kind is ValueKind.ENUM else value
        try:
            low, high = self._range()
        except CommandRejected:
            return float(value)
        return min(max(float(value), low), high)

    def _range(self) -> tuple[float, float]:
        if self.spec.range is None:
            return -math.inf, math.inf
        low, high = (self.resolve(self.resource, bound) for bound in self.spec.range)
        if low is None or high is None:
            raise CommandRejected(Reject.INHIBITED, "its range is not known yet")
        return low, high

    def scale(self) -> tuple[float, float] | None:
        """Scale and offset: value = raw x scale + offset; None while a point they refer to never had a value."""
        scale, offset = self.resolve(self.resource, self.spec.scale), self.resolve(self.resource, self.spec.offset)
        return None if not scale or offset is None else (scale, offset)

    def raw(self, value: Value) -> Value | None:
        """The value in the product's own unit and JSON type, rounded to the tighter side; None without a scale."""
        if self.spec.kind is ValueKind.ENUM:
            return next(text for text, code in self.spec.codes.items() if code == value)
        if self.spec.kind is not ValueKind.NUMBER or isinstance(value, str):
            return value
        factors = self.scale()
        if factors is None:
            return None
        scale, offset = factors
        raw = float(f"{(float(value) - offset) / scale:.{DIGITS}g}")
        match self.command.json_type:
            case "int":
                down = (self.command.tighter != "high") == (scale > 0)
                return math.floor(raw + 1e-6) if down else math.ceil(raw - 1e-6)
            case "string":
                return f"{raw:g}"
            case "bool":
                return bool(raw)
            case "float":
                return raw

    def agrees(self, target: Target, read_back: ReadBack) -> bool:
        """Whether the product holds the target (C06, C08)."""
        if target.release:
            if self.command.none_when is not None or read_back.none:
                return read_back.none
            default = self.default
            wanted = self.raw(default) if default is not None else None
            return wanted is not None and self._near(read_back.raw, wanted)
        return not read_back.none and read_back.verified and self._near(read_back.raw, target.raw)

    def _near(self, raw: object, wanted: object) -> bool:
        """Within the tolerance, by default half a raw step; texts and booleans must be equal."""
        mine, theirs = _number(raw), _number(wanted)
        if mine is None or theirs is None:
            return raw == wanted
        if self.command.tolerance is not None:
            scale, _ = self.scale() or (1.0, 0.0)
            allowed = abs(self.command.tolerance / scale)
        else:
            allowed = 0.5 if self.command.json_type == "int" else 1e-6 * max(1.0, abs(theirs))
        return abs(mine - theirs) <= allowed * (1 + 1e-9)

    def loosens(self, target: Target, read_back: ReadBack) -> bool:
        """Whether sending the target again would loosen what is in force upstream (C09)."""
        default = self.default
        if target.release and default is None:
            return not read_back.none and self.command.tighter != "none"
        wanted = self.raw(default) if target.release and default is not None else target.raw
        return not read_back.none and self._tighter(read_back.raw, wanted)

    def foreign(self, read_back: ReadBack) -> bool:
        """After a restart: whether what is upstream is tighter than anything this gateway ever asked for (C10)."""
        if self.inherited is None or read_back.none:
            return False
        held = [slot for _, slot in (*self.slots.occupied, *self.slots.lapsed.items())]
        raws = [*self.inherited, *(self.raw(slot.value) for slot in held)]
        return all(self._tighter(read_back.raw, raw) for raw in raws if raw is not None)

    def limits_more(self, value: Value, other: Value) -> bool:
        """Whether one value of the point's own unit is tighter than another."""
        mine, theirs = _number(value), _number(other)
        if self.command.tighter == "none" or mine is None or theirs is None:
            return False
        return mine < theirs if self.command.tighter == "low" else mine > theirs

    def is_tighter(self, old: Target | None, raw: Value) -> bool:
        """Whether a new target is tighter than the old one, and so must not wait for the coalescing window."""
        if old is None or old.raw is None:
            return self.command.tighter != "none" and _number(raw) is not None
        return self._tighter(raw, old.raw)

    def _tighter(self, raw: object, other: object) -> bool:
        """Whether one raw value limits more than another."""
        mine, theirs, factors = _number(raw), _number(other), self.scale()
        if self.command.tighter == "none" or mine is None or theirs is None or factors is None:
            return False
        rising = factors[0] > 0
        return mine != theirs and (mine < theirs) == (rising == (self.command.tighter == "low"))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
