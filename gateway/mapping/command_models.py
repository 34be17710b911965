"""What a mapping file may say of what is written: commands and actions, key by key (DESIGN 6.4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gateway.config.check import Strict, WrongKeyError, in_words
from gateway.config.duration import Duration
from gateway.config.supervision import Lease, OnBmsLoss

KEY = in_words(
    r"^[a-z][a-z0-9_]{0,39}$", "must begin with a small letter and hold only small letters, digits and _ (at most 40)"
)
CODE = in_words(r"^[1-9][0-9]{0,4}$", "must be a whole number from 1 on (0 is written between two actions)")
Key = Annotated[str, Field(pattern=KEY)]
Code = Annotated[str, Field(pattern=CODE)]
SHORTEST_VALIDITY_S = 600.0
SHORTEST_GAP_S = 2.0
JsonType = Literal["float", "int", "bool", "string"]


class FactorModel(Strict):
    """A number that another point of the same resource gives, times `by`."""

    point: str
    by: float = 1.0


FactorKey = float | FactorModel


class CommandModel(Strict):
    """How a point is written."""

    put: str | None = None
    post: str | None = None
    body: Any
    release: Any
    default: FactorKey | int | bool | None = None
    none_when: str | None = None
    as_: JsonType | None = Field(None, alias="as", description="JSON type of {value}; float for a number")
    verify: str | None = None
    tolerance: float | None = Field(None, ge=0, description="in the point's unit")
    floor: float | None = Field(None, ge=0)
    allow_stop: bool | None = None
    tighter: Literal["low", "high", "none"] | None = None
    merge: bool = Field(False, description="true: GET first, change only the body's members, send the whole back")
    merge_from: str | None = Field(None, description="where the whole is read; left out: the path of put or post")
    together: list[Key] = Field(default_factory=list, description="points of this resource that leave in one request")
    valid_for_s: float | None = Field(
        None, ge=SHORTEST_VALIDITY_S, description="the product forgets the value after this; renewed at half"
    )
    on_conflict: Literal["reassert", "alarm", "adopt"] = Field(
        "reassert", description="what follows when somebody changes the value in the product"
    )
    lease_s: Lease | None = Field(None, description="seconds a write lives unrefreshed, or off; left out: `control`")
    on_bms_loss: OnBmsLoss | None = Field(
        None, description="when a lease ends: hold, release or {value: X}; left out: `control`"
    )
    min_gap_s: float | None = Field(
        None, ge=SHORTEST_GAP_S, le=3600, description="seconds between two requests; 60 or more for settings in flash"
    )

    @model_validator(mode="after")
    def _whole(self) -> CommandModel:
        _one_method(self.put, self.post)
        if self.merge_from is not None and not self.merge:
            raise WrongKeyError("merge_from", "goes with merge: true")
        return self


class FollowModel(Strict):
    """How the end of an action is learnt."""

    get: str = Field(description="path of the request; {result} stands for what the action's answer held")
    path: str = Field(description="the member that says how far it is")
    done: Annotated[list[str], Field(min_length=1)]
    failed: list[str] = Field(default_factory=list)
    every: Duration = 1.0
    timeout: Duration = Field(60.0, description="without an end by then the result is unknown")


class PlaceModel(Strict):
    """Where an action stands."""

    at: int = Field(ge=0, description="offset of the code; the result is one further, BACnet's error text two")


class ActionModel(Strict):
    """A one-shot command: a client writes a code, and its body is sent once."""

    put: str | None = None
    post: str | None = None
    codes: Annotated[dict[Code, Any], Field(min_length=1)] = Field(description="code: the body that it sends")
    result: str | None = Field(None, description="member of the answer that {result} in follow.get stands for")
    follow: FollowModel | None = Field(None, description="left out: a good answer is the end")
    description: str | None = None
    modbus: PlaceModel | None = None
    bacnet: PlaceModel | None = None

    @model_validator(mode="after")
    def _whole(self) -> ActionModel:
        _one_method(self.put, self.post)
        if self.result is not None and self.follow is None:
            raise WrongKeyError("result", "goes with follow")
        return self


def _one_method(put: str | None, post: str | None) -> None:
    if (put is None) == (post is None):
        raise ValueError("say exactly one of put, post")
