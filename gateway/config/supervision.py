"""`lease_s` and `on_bms_loss`: how long a command lives unrefreshed, and what replaces it (COMMANDS C03..C05).

The same two keys stand in config.yaml (`control`, its `overrides`, client groups, `bacnet`) and in a mapping's command.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from gateway.config.check import Strict

SHORTEST_LEASE_S = 5.0


def _lease(value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value != "off" and not (number and value >= SHORTEST_LEASE_S):
        raise ValueError(f"must be off, or {SHORTEST_LEASE_S:g} s or more: at least 3 times the BMS's write period")
    return value


def _loss_word(value: Any) -> Any:
    if value not in ("hold", "release"):
        raise ValueError("must be hold, release or {value: X}")
    return value


class LossValue(Strict):
    """A value that takes the lost one's place."""

    value: bool | float | str = Field(description="in the point's unit; the code of a state, or true or false")


Lease = Annotated[
    Literal["off"] | float,
    BeforeValidator(_lease),
    WithJsonSchema({"anyOf": [{"const": "off"}, {"type": "number", "minimum": SHORTEST_LEASE_S}]}),
]
OnBmsLoss = Annotated[
    Annotated[Literal["hold", "release"], BeforeValidator(_loss_word), Tag("word")]
    | Annotated[LossValue, Tag("value")],
    Discriminator(lambda value: "value" if isinstance(value, (dict, LossValue)) else "word"),
]
