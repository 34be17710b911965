"""When is the register image complete? Reads every register of a site over Modbus until none lacks its value."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.checkout import ModbusClient, ModbusError
from gateway.core.registers import parse_register_type, sentinel
from tests.benchmarks.rig import START_PATIENCE_S, BrokenError, Gateway

MOST = 125
LOOK_S = 0.005


@dataclass(frozen=True, slots=True)
class Want:
    """Registers that must hold something else than "no value"."""

    register: int
    nothing: bytes

    def is_there(self, data: bytes) -> bool:
        """Whether the bytes are a value: neither the sentinel nor the fill of a gap."""
        return data not in (self.nothing, b"\xff" * len(data))


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that one request reads."""

    first: int
    count: int
    wants: tuple[Want, ...]


def blocks(rows: Sequence[dict[str, Any]]) -> list[Block]:
    """The reads that cover every point of the product that has a value in `points --json` of a running gateway."""
    wants = sorted((w for row in rows if (w := _want(row)) is not None), key=lambda want: want.register)
    found: list[Block] = []
    group: list[Want] = []
    for want in wants:
        if group and _end(want) - group[0].register > MOST:
            found.append(_block(group))
            group = []
        group.append(want)
    return [*found, _block(group)] if group else found


def _want(row: dict[str, Any]) -> Want | None:
    """None for the gateway's own points, and for texts that may be empty."""
    last, kind = row["point"].rpartition("/")[2], row["point"].split("/")[1]
    own = kind in ("source", "header") or ("." in last and not last.endswith(".applied"))
    place = row["modbus"]
    if own or place is None or row["value"] in (None, ""):
        return None
    encoding = {"word_order": "big", **row, **place}
    register_type = parse_register_type(encoding["type"])
    if register_type is None or register_type.name == "bits":
        return None
    return Want(place["register"], sentinel(register_type, encoding["word_order"], "big"))


def _end(want: Want) -> int:
    return want.register + len(want.nothing) // 2


def _block(wants: list[Want]) -> Block:
    first = wants[0].register
    return Block(first, _end(wants[-1]) - first, tuple(wants))


async def complete(gateway: Gateway, client: ModbusClient, wanted: Sequence[Block]) -> float:
    """Waits until every block is whole; returns the seconds since the process was started.

    A value that was once good stays, so each block is looked at until it is whole, and then the next.
    """
    deadline = gateway.started + START_PATIENCE_S
    for block in wanted:
        while not await _whole(client, block):
            if time.monotonic() > deadline:
                raise BrokenError(f"registers {block.first}.. have no value after {START_PATIENCE_S:g} s")
            await asyncio.sleep(LOOK_S)
    return time.monotonic() - gateway.started


async def _whole(client: ModbusClient, block: Block) -> bool:
    try:
        data = await client.read(block.first, block.count)
    except ModbusError as error:
        if error.code:
            return False
        raise BrokenError(str(error)) from error
    offsets = [(want, 2 * (want.register - block.first)) for want in block.wants]
    return all(want.is_there(data[at : at + len(want.nothing)]) for want, at in offsets)
