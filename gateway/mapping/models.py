"""What a mapping file may say (DESIGN 6.4), key by key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic_core import CoreSchema

from gateway.config.check import Strict, WrongKeyError, in_words
from gateway.config.duration import Duration
from gateway.core.point import Card
from gateway.core.trend import DEFAULT_BUFFER, LEAST_EVERY_S, MOST_BUFFER, MOST_EVERY_S
from gateway.mapping.alarm_models import AlarmModel
from gateway.mapping.command_models import ActionModel, CommandModel, FactorKey, Key

Order = Literal["big", "little"]
OnLossKey = Literal["nan", "hold", "exception"]
OF = in_words(r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_.]*$", "must be KIND.POINT, e.g. station.status")
BASE = in_words(r"^(/[A-Za-z0-9._~-]+)*$", "must be a path such as /api/v2, without a / at its end")


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


Paths = Annotated[
    list[str],
    BeforeValidator(_as_list),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class _OneOrMore:
    """A list that may also be written as its one item; says so in the JSON Schema."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        return {"anyOf": [schema["items"], schema]}


class ActionRegionModel(Strict):
    """Where a kind's actions stand in the Modbus map, when its own blocks have no room for them."""

    first: int = Field(ge=0, le=65535)
    stride: int = Field(ge=1, le=65536)
    capacity: int = Field(ge=1, le=10000, description="resources of later blocks have no action registers")


class RegionModel(Strict):
    """Where a kind stands in the Modbus map (0-based registers)."""

    first: int = Field(ge=0, le=65535)
    stride: int = Field(ge=1, le=65536)
    capacity: int = Field(ge=1, le=10000)
    status: int | None = Field(None, ge=0, description="offset of online, quality, age_s (4 registers)")
    actions: ActionRegionModel | None = Field(None, description="a region of their own for the actions of this kind")


class InstancesModel(Strict):
    """Where a kind's BACnet instances stand."""

    first: int = Field(ge=0, le=4194302)
    stride: int = Field(ge=1, le=100000)


class ListModel(Strict):
    """How a kind's resources are listed."""

    get: str
    items: str = "@"
    id: str
    name: str
    guard: str | None = Field(None, description="a member whose change inhibits writing (type, unit)")
    every: Duration = 60.0


class ReadModel(Strict):
    """One GET."""

    get: str
    every: Duration
    items: str | None = None
    match: str | None = None
    none_status: list[Annotated[int, Field(ge=200, le=499)]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _bulk(self) -> ReadModel:
        if (self.items is None) != (self.match is None):
            raise ValueError("a bulk read needs both items and match")
        if self.items is not None and "{id}" in self.get:
            raise WrongKeyError("get", "a bulk read's path cannot hold {id}")
        return self


class MembersModel(Strict):
    """Which resources of another kind belong to one of this kind."""

    of: str
    get: str
    items: str = "@"
    id: str
    every: Duration = 60.0


class DeriveModel(Strict):
    """A value computed from another kind's point."""

    op: Literal["sum", "count", "max", "min", "mean"]
    of: str = Field(pattern=OF, description="kind.point")
    where: int | bool | str | list[int | bool | str] | None = None


class RegisterModel(Strict):
    """One Modbus encoding of a point."""

    at: int = Field(ge=0, description="offset in the block")
    type: str
    scale: float = Field(1.0, description="register x scale = value")
    bit: int | None = Field(None, ge=0, le=15)
    receipt: int | None = Field(None, ge=0, description="offset of the receipt block (12 registers)")
    word_order: Order | None = None
    byte_order: Order | None = None
    on_source_loss: OnLossKey | None = None


class ObjectModel(Strict):
    """One BACnet object of a point."""

    object: Literal[
        "analog-input",
        "analog-value",
        "binary-input",
        "binary-value",
        "multi-state-input",
        "multi-state-value",
        "characterstring-value",
    ]
    at: int = Field(ge=0, description="offset in the block's instances")
    cov_increment: float | None = Field(None, ge=0)
    receipt: int | None = Field(None, ge=0, description="offset of the receipt objects")
    trend: int | None = Field(
        None, ge=0, description="offset of the point's Trend Log; that of a command's `applied` is the next one"
    )


class TrendModel(Strict):
    """What is kept of a point's values, for the page's charts and for a BACnet Trend Log."""

    every: Duration | None = Field(None, description="a record at each multiple of this local time, 1s or more")
    on_change: bool = Field(False, description="true, instead of every: a record for each change")
    buffer: int = Field(DEFAULT_BUFFER, ge=2, le=MOST_BUFFER, description="records kept; the oldest goes first")

    @model_validator(mode="after")
    def _one(self) -> TrendModel:
        if (self.every is None) != self.on_change:
            raise ValueError("say either every: DURATION or on_change: true")
        if self.every is not None and not LEAST_EVERY_S <= self.every <= MOST_EVERY_S:
            raise WrongKeyError("every", "must be 1s to 1d")
        return self


class Inherited(Strict):
    """Keys that hold for everything below; the nearest wins."""

    stale_after_s: float | None = Field(None, gt=0)
    on_source_loss: OnLossKey | None = None
    word_order: Order | None = None
    byte_order: Order | None = None
    description: str | None = None


class PointModel(Inherited):
    """One named value."""

    from_: str | None = Field(None, alias="from")
    answer_to: Key | None = Field(
        None, description="instead of from: a point of this resource whose command's answer holds this value"
    )
    path: Paths | None = None
    unit: str = ""
    scale: FactorKey = 1.0
    offset: FactorKey = 0.0
    enum: dict[str, Annotated[int, Field(ge=1, le=65534)]] = Field(default_factory=dict)
    absent: float | bool | str | None = None
    optional: bool = False
    frozen_after: Duration | None = Field(None, description="a number unchanged for so long is stale")
    card: Card | None = Field(None, description="as what the page's card of the resource shows it; one point for each")
    derive: DeriveModel | None = None
    skip_bad: bool = False
    range: Annotated[list[FactorKey], Field(min_length=2, max_length=2)] | None = None
    alarm: AlarmModel | None = Field(None, description="when it is an alarm, and who is told")
    trend: TrendModel | None = Field(None, description="its history is kept; that of a command's `applied` as well")
    command: CommandModel | None = None
    modbus: Annotated[list[RegisterModel], BeforeValidator(_as_list), _OneOrMore()] = Field(default_factory=list)
    bacnet: Annotated[list[ObjectModel], BeforeValidator(_as_list), _OneOrMore()] = Field(default_factory=list)

    @model_validator(mode="after")
    def _origin(self) -> PointModel:
        if self.answer_to is not None:
            self._answers()
        elif (self.from_ is None) != (self.path is None):
            raise ValueError("from and path go together")
        if self.derive is not None and (self.path is not None or self.command is not None):
            raise WrongKeyError("derive", "a derived point has no from, path or command")
        if self.skip_bad and self.derive is None:
            raise WrongKeyError("skip_bad", "skip_bad goes with derive")
        if self.command is not None and self.path is None:
            raise WrongKeyError(
                "command", "a commandable point needs from and path: every write is proven by reading it back"
            )
        if self.optional and self.absent is not None:
            raise WrongKeyError("absent", "say absent or optional, not both")
        return self

    def _answers(self) -> None:
        if self.path is None:
            raise ValueError("answer_to and path go together")
        for key in ("from_", "derive", "command", "absent", "frozen_after"):
            if key in self.model_fields_set:
                raise WrongKeyError(key.removesuffix("_"), "a point of a command's answer has none")


class ResourceModel(Inherited):
    """One kind of resource."""

    list: ListModel | None = None
    within: str | None = None
    from_: str | None = Field(None, alias="from", description="read of the parent whose answer holds these")
    items: str | None = None
    id: str | None = None
    reads: dict[Key, ReadModel] = Field(default_factory=dict)
    members: MembersModel | None = None
    modbus: RegionModel | None = None
    bacnet: InstancesModel | None = None
    points: dict[Key, PointModel] = Field(default_factory=dict)
    actions: dict[Key, ActionModel] = Field(default_factory=dict)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """What a request about one resource of this kind may hold."""
        if self.within is not None:
            return ("id", "parent.id")
        return ("id",) if self.list is not None else ()

    @model_validator(mode="after")
    def _place(self) -> ResourceModel:
        inside = (self.within, self.from_, self.items, self.id)
        if any(part is not None for part in inside) and not all(part is not None for part in inside):
            raise ValueError("a kind inside another needs within, from, items and id")
        if self.within is not None and self.list is not None:
            raise WrongKeyError("within", "say list or within, not both")
        return self


class PasswdModel(Strict):
    """How a user changes the own password."""

    post: str
    body: Any = Field(description="holds {old} and {new}")


class MappingFile(Inherited):
    """A whole mapping file, after `extends` was merged."""

    extends: str | None = Field(None, description="a mapping this one adds to, merged by key; null removes")
    product: Literal["evce", "bender"]
    base: str | None = Field(None, pattern=BASE, description="defaults by product")
    passwd: PasswdModel | None = Field(None, description="what `evce-gateway passwd` sends (EVCE)")
    resources: dict[Key, ResourceModel]

    @model_validator(mode="after")
    def _has_passwd(self) -> MappingFile:
        if self.passwd is not None and self.product == "bender":
            raise WrongKeyError("passwd", "the API of a Bender controller has no call that changes a password")
        return self
