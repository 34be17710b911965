"""The help of `simulate` names every operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.simulator import EvceSimulator
from gateway.simulator.bender import BENDER_OPERATIONS
from gateway.simulator.evce_operations import EVCE_OPERATIONS
from gateway.simulator.operations import SHARED_OPERATIONS, Operation, carry_out, signature
from gateway.simulator.shell import OperationError


def test_every_operation_is_there_with_its_parameters(call: Callable[..., Any]) -> None:
    said = call("simulate", "--help")
    assert said.code == 0
    text = " ".join(said.out.replace("\u2502", " ").split())
    own = {"EVCE: ": EVCE_OPERATIONS, "Bender: ": BENDER_OPERATIONS}
    for begin, table in {"Both products: ": SHARED_OPERATIONS, **own}.items():
        named = text.partition(begin)[2].partition(". ")[0].removesuffix(".").split(", ")
        shared = {} if table is SHARED_OPERATIONS else SHARED_OPERATIONS
        assert named[: len(table) - len(shared)] == [
            signature(op, operation) for op, operation in table.items() if op not in shared
        ]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"kind": "zone"}, "add needs the parameter 'name': add kind name [zone]"),
        ({"kind": "zone", "name": "Q", "nme": 1}, "add has no parameter 'nme': add kind name [zone]"),
    ],
)
async def test_a_wrong_parameter_is_told_with_the_right_ones(parameters: dict[str, Any], text: str) -> None:
    table: dict[str, Operation[Any]] = {"add": EVCE_OPERATIONS["add"]}
    with pytest.raises(OperationError) as refused:
        await carry_out(table, None, "add", parameters)  # type: ignore[type-var]
    assert str(refused.value) == text


@pytest.mark.parametrize("op", ["add", "delete"])
async def test_a_wrong_kind_is_told_with_the_right_ones(op: str) -> None:
    with pytest.raises(OperationError, match=r"^kind must be station, zone or meter, not 'zones'$"):
        await EvceSimulator().do(op, kind="zones", name="Zone A")


async def test_an_unknown_operation_is_told_with_all() -> None:
    with pytest.raises(OperationError) as refused:
        await EvceSimulator().do("explode")
    assert str(refused.value) == f"there is no operation 'explode'; there are {', '.join(sorted(EVCE_OPERATIONS))}"
