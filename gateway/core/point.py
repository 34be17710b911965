"""What a mapping says, as frozen data: kinds, reads, points, commands, and where they are served.

Everything here is protocol-free data made by `gateway.mapping`; a compiled path is a callable on decoded JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.core.alarm import AlarmSpec
from gateway.core.lease import Loss
from gateway.core.registers import Order, RegisterType
from gateway.core.trend import TrendSpec
from gateway.core.value import Converter, Value, ValueKind

OnLoss = Literal["nan", "hold", "exception"]
DeriveOp = Literal["sum", "count", "max", "min", "mean"]
Tighter = Literal["low", "high", "none"]
OnConflict = Literal["reassert", "alarm", "adopt"]
Area = Literal["block", "actions"]
Card = Literal["current", "power", "energy", "state"]

MOST_DEVICES = 10_000
"""Device instances that are kept free for virtual BACnet devices, from the first on."""
SOURCE_KIND = "source"
RECEIPT = (
    "requested",
    "applied",
    "write_status",
    "authority",
    "winner",
    "lease_left_s",
    "age_s",
    "release",
    "error",
    "error_text",
)
ACTION = ("result", "error_text")
STATUS_POINTS = ("status.online", "status.quality", "status.age_s")


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled JMESPath: `text` as written, `get` applied to a document gives the member or None."""

    text: str
    get: Callable[[Any], Any]

    def __call__(self, document: Any) -> Any:
        return self.get(document)


@dataclass(frozen=True, slots=True)
class Factor:
    """A number, or the value of a point of the same resource times `by`."""

    number: float
    point: str | None = None
    by: float = 1.0


@dataclass(frozen=True, slots=True)
class RegisterSpec:
    """One Modbus encoding of a point, `at` registers into its block.

    Register value x `scale` = point value. `bit` is set for type `bits` only (0 is the least significant bit).
    In area `actions` the offset counts in the kind's region for actions (`KindSpec.actions_at`), if it has one.
    """

    at: int
    type: RegisterType
    scale: float
    word_order: Order
    byte_order: Order
    on_loss: OnLoss
    bit: int | None = None
    area: Area = "block"


@dataclass(frozen=True, slots=True)
class ObjectSpec:
    """One BACnet object of a point; its instance is the block's first plus `at`.

    `object` is the standard's hyphenated type name, e.g. `analog-input`.
    """

    object: str
    at: int
    cov_increment: float | None = None


@dataclass(frozen=True, slots=True)
class DeriveSpec:
    """A value computed from a point of members, children or every resource of a kind."""

    op: DeriveOp
    kind: str
    point: str
    where: frozenset[Value] | None
    skip_bad: bool


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """How a point is written.

    `put` or `post` with a path template, a body template (any JSON with placeholders), a release body, and
    what proves success. `default` is Relinquish_Default in the point's unit.

    `merge_from`: GET this path first, change the body's members in what it answers, and send the whole.
    `together`: points of the same resource that leave in one request with this one, this one left out.
    `valid_for_s`: the product forgets the value by itself after this time (C12); the body holds its end.
    `lease_s` (0 off) and `on_loss` as in GroupTerms; `gap_s`: seconds between two requests, None for the usual gap.
    """

    method: Literal["PUT", "POST"]
    path: str
    body: Any
    release: Any
    default: Factor | None
    none_when: Path | None
    verify: Path | None
    json_type: Literal["float", "int", "bool", "string"]
    tolerance: float | None
    floor: float | None
    allow_stop: bool | None
    tighter: Tighter
    merge_from: str | None = None
    together: tuple[str, ...] = ()
    valid_for_s: float | None = None
    on_conflict: OnConflict = "reassert"
    lease_s: float | None = None
    on_loss: Loss | None = None
    gap_s: float | None = None

    @property
    def merge(self) -> bool:
        """Whether the body is a change of a whole document."""
        return self.merge_from is not None


@dataclass(frozen=True, slots=True)
class FollowSpec:
    """How an action's end is learnt: GET `path` (with `{result}`) until `status` is one of `done` or `failed`."""

    path: str
    status: Path
    done: frozenset[str]
    failed: frozenset[str]
    every_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """A one-shot command: a code written by a client sends that code's body, once (C15).

    `result` finds in the product's answer what `{result}` stands for in `follow.path`; without `follow` a 2xx is the
    end. Registers: code at `at`, result at `at` + 1; objects: code at `instance`, result + 1, error text + 2.
    """

    name: str
    method: Literal["PUT", "POST"]
    path: str
    codes: Mapping[int, Any]
    result: Path | None
    follow: FollowSpec | None
    description: str = ""
    at: int | None = None
    instance: int | None = None
    word_order: Order = "big"
    byte_order: Order = "big"

    @property
    def points(self) -> tuple[str, ...]:
        """The names of its points."""
        return (self.name, *(f"{self.name}.{part}" for part in ACTION))


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSpec:
    """One named value of a kind.

    Exactly one of `read` + `path`, `derive`, `member_of` and `builtin` says where it comes from. A point of the answer
    to a command has `answer_to(command)` as its read, which nobody polls.
    `card`: as what the page's card of its resource shows it.
    `convert` is None when `scale` or `offset` refer to another point (then it is made per sample). A number that
    has not changed for `frozen_after_s` is stale, whatever the product answers.
    """

    name: str
    kind: ValueKind
    unit: str = ""
    description: str = ""
    read: str | None = None
    path: Path | None = None
    convert: Converter | None = None
    scale: Factor = Factor(1.0)
    offset: Factor = Factor(0.0)
    limits: tuple[float, float] | None = None
    codes: Mapping[str, int] = field(default_factory=dict)
    absent: Value | None = None
    optional: bool = False
    derive: DeriveSpec | None = None
    member_of: str | None = None
    builtin: bool = False
    range: tuple[Factor, Factor] | None = None
    command: CommandSpec | None = None
    writable: bool = False
    registers: tuple[RegisterSpec, ...] = ()
    receipt_at: int | None = None
    objects: tuple[ObjectSpec, ...] = ()
    receipt_instance: int | None = None
    stale_after_s: float = 15.0
    frozen_after_s: float | None = None
    card: Card | None = None
    alarm: AlarmSpec | None = None
    trend: TrendSpec | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """State texts for codes 1..N; the first text listed for a code is its text, unused codes are dashes."""
        first: dict[int, str] = {}
        for text, code in self.codes.items():
            first.setdefault(code, text)
        return tuple(first.get(code, "-") for code in range(1, max(first, default=0) + 1))


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """One GET: its path template, period in seconds, and for a bulk answer `items` and `match`.

    `items` gives an array, or an object whose keys are the ids when `match` is `@key`.
    """

    name: str
    path: str
    every_s: float
    items: Path | None
    match: Path | None
    by_key: bool
    none_status: frozenset[int]

    @property
    def is_bulk(self) -> bool:
        """Whether one answer serves every resource of the kind."""
        return self.items is not None


@dataclass(frozen=True, slots=True)
class ListSpec:
    """Where a kind's resources are listed: `items` an array, or an object keyed by id when `id` is `@key`."""

    path: str
    items: Path
    id: Path
    by_key: bool
    name: Path
    guard: Path | None
    every_s: float


@dataclass(frozen=True, slots=True)
class MembersSpec:
    """Which resources of kind `of` belong to one resource of this kind."""

    of: str
    path: str
    items: Path
    id: Path
    by_key: bool
    every_s: float


@dataclass(frozen=True, slots=True)
class WithinSpec:
    """A kind that lives inside another: its items stand in the parent's read `read`."""

    parent: str
    read: str
    items: Path
    id: Path
    by_key: bool


@dataclass(frozen=True, slots=True)
class Region:
    """Where a kind is served: block i begins at first + i x stride, for i below capacity."""

    first: int
    stride: int
    capacity: int
    status_at: int | None = None


@dataclass(frozen=True, slots=True)
class KindSpec:
    """One kind of resource of a product. Without `list` and `within` there is exactly one per source.

    `actions_at` is a Modbus region of its own for the actions, for a kind whose blocks have no room left.
    """

    name: str
    list: ListSpec | None
    within: WithinSpec | None
    members: MembersSpec | None
    reads: Mapping[str, ReadSpec]
    points: Mapping[str, PointSpec]
    modbus: Region | None
    bacnet: Region | None
    actions: Mapping[str, ActionSpec] = field(default_factory=dict)
    actions_at: Region | None = None

    @property
    def is_single(self) -> bool:
        """Whether there is exactly one per source."""
        return self.list is None and self.within is None

    @property
    def capacity(self) -> int | None:
        """How many blocks there are, None without any region."""
        return min((region.capacity for region in (self.modbus, self.bacnet) if region is not None), default=None)


@dataclass(frozen=True, slots=True)
class PasswdSpec:
    """How a login changes its own password: POST `path` with `body`, which holds `{old}` and `{new}`."""

    path: str
    body: Any


@dataclass(frozen=True, slots=True)
class Product:
    """A whole mapping: base path of the API and its kinds; `pool` names the block pool its sources share."""

    name: str
    base: str
    pool: str
    kinds: Mapping[str, KindSpec]
    passwd: PasswdSpec | None = None


ANSWER_TO = "answer to "


def answer_to(command: str) -> str:
    """The read of points that stand in the product's answer to the command of point `command`."""
    return ANSWER_TO + command


def not_yet(spec: PointSpec) -> str:
    """Why a point has no value before anything was read."""
    if spec.read is not None and spec.read.startswith(ANSWER_TO):
        return f"known after the first {spec.read.removeprefix(ANSWER_TO).replace('_', ' ')}"
    return "not read yet"


def point_name(source: str, kind: str, name: str | None, point: str) -> str:
    """`source/kind/name/point`, with `/` and `%` inside the name escaped; a single resource has no name part."""
    if name is None:
        return f"{source}/{kind}/{point}"
    return f"{source}/{kind}/{name.replace('%', '%25').replace('/', '%2F')}/{point}"
