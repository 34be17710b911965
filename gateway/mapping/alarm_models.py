"""What a mapping file may say of a point's alarm, key by key."""

from __future__ import annotations

from pydantic import Field, model_validator

from gateway.config.check import Strict, WrongKeyError
from gateway.config.duration import Duration
from gateway.mapping.command_models import FactorKey


class AlarmModel(Strict):
    """When a point is in alarm, and how people are told."""

    when: int | bool | str | list[int | bool | str] | None = Field(
        None, description="of an enumeration the codes or texts, of a bool the state, that are an alarm"
    )
    high: FactorKey | None = Field(
        None, description="of a number: above this is an alarm; {point: reduction.applied} is the limit in force"
    )
    low: FactorKey | None = Field(None, description="of a number: below this is an alarm")
    deadband: float = Field(0.0, ge=0, description="so far inside the limit it is normal again, in the point's unit")
    delay: Duration = Field(0.0, description="only what lasts so long counts, both ways; left out: at once")
    notification_class: int | None = Field(
        None, alias="class", ge=0, le=4194302, description="of bacnet.notification_classes; left out: the first"
    )
    text: str | None = Field(
        None, min_length=1, max_length=100, description="what is wrong then; left out: the description"
    )
    faults: bool = Field(False, description="true: a value that cannot be trusted is told of as well")

    @model_validator(mode="after")
    def _whole(self) -> AlarmModel:
        limits = self.high is not None or self.low is not None
        if (self.when is None) != limits:
            raise ValueError("say either `when`, or `high`, `low` or both")
        if self.when is not None and self.deadband:
            raise WrongKeyError("deadband", "goes with high and low")
        if isinstance(self.high, float) and isinstance(self.low, float) and self.low >= self.high:
            raise WrongKeyError("low", "must be less than high")
        return self
