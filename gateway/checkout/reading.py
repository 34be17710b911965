"""Every line of a register list read from the running servers, with the raw clients of this package."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.checkout.bacnet_client import (
    OBJECT_NAME,
    OBJECT_TYPES,
    OUT_OF_SERVICE,
    PRESENT_VALUE,
    RELIABILITY,
    BacnetClient,
    BacnetError,
    route_to,
)
from gateway.checkout.modbus_client import ModbusClient, ModbusError
from gateway.checkout.sheet import Line, Object, Registers, Value

MOST_REGISTERS = 125
MOST_OBJECTS = 8
LOST = 0x0B
PROPS = (PRESENT_VALUE, RELIABILITY, OUT_OF_SERVICE, OBJECT_NAME)


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the gateway serves; a part it does not serve is None. `network` is that of its virtual devices."""

    modbus: tuple[str, int] | None
    bacnet: tuple[str, int] | None
    device: int | None = None
    network: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one protocol said of one line: a value, None for "no value", or a problem in words.

    Of BACnet also its Reliability, Out_Of_Service and Object_Name; `coil` is what functions 1 and 2 say of a bool.
    """

    value: Value | None = None
    problem: str = ""
    reliability: int = 0
    out_of_service: bool = False
    name: str = ""
    coil: bool | None = None
    coil_problem: str = ""


async def read_registers(lines: Sequence[Line], servers: Servers) -> dict[Registers, Seen]:
    """What Modbus says, over one connection, one request at a time.

    Raises:
        OSError: the server cannot be reached.
    """
    wanted = list(dict.fromkeys(line.registers for line in lines if line.registers is not None))
    if servers.modbus is None or not wanted:
        return {}
    found: dict[Registers, Seen] = {}
    async with ModbusClient(*servers.modbus) as client:
        for run in _runs(wanted):
            found |= await _run(client, run)
        for one in wanted:
            if one.type == "bool" and not found[one].problem:
                found[one] = await _with_coils(client, one, found[one])
    return found


def _runs(wanted: Sequence[Registers]) -> Iterator[list[Registers]]:
    """Registers that stand side by side, in runs of one request each."""
    run: list[Registers] = []
    for one in sorted(wanted, key=lambda r: (r.unit, r.address, r.bit or 0)):
        follows = run and one.unit == run[-1].unit and one.address in (run[-1].address, run[-1].address + run[-1].count)
        if not follows or one.address + one.count - run[0].address > MOST_REGISTERS:
            if run:
                yield run
            run = []
        run.append(one)
    if run:
        yield run


async def _run(client: ModbusClient, run: list[Registers]) -> dict[Registers, Seen]:
    """One request; one that is refused is asked again for each alone, for a lost bit refuses all around it."""
    first = run[0].address
    try:
        data = await client.read(first, max(r.address + r.count for r in run) - first, unit=run[0].unit)
    except ModbusError as error:
        if not error.code:
            raise OSError(str(error)) from error
        if len(run) == 1:
            return {run[0]: Seen() if error.code == LOST else Seen(problem=str(error))}
        found: dict[Registers, Seen] = {}
        for one in run:
            found |= await _run(client, [one])
        return found
    return {one: Seen(one.value(data[(one.address - first) * 2 :][: one.count * 2])) for one in run}


async def _with_coils(client: ModbusClient, one: Registers, seen: Seen) -> Seen:
    """A bool read once more as coil and as discrete input."""
    said: list[bool | None] = []
    for function in (1, 2):
        try:
            said.append(await client.read_bit(one.address, unit=one.unit, function=function))
        except ModbusError as error:
            if error.code != LOST:
                return Seen(seen.value, coil_problem=f"function {function}: {error}")
            said.append(None)
    apart = "" if said[0] == said[1] else f"coil {said[0]}, discrete input {said[1]}"
    return Seen(seen.value, coil=said[0], coil_problem=apart)


async def read_objects(lines: Sequence[Line], servers: Servers) -> dict[Object, Seen]:
    """What BACnet says, one request at a time.

    Raises:
        OSError: the socket cannot be made, or nobody answers.
    """
    wanted = list(dict.fromkeys(line.object for line in lines if line.object is not None))
    if servers.bacnet is None or not wanted:
        return {}
    found = {one: Seen(problem=f"{one.type} is not known here") for one in wanted if one.type not in OBJECT_TYPES}
    host = servers.bacnet[0]
    async with BacnetClient(*servers.bacnet, local=host) as client:
        for device in dict.fromkeys(one.device for one in wanted):
            route = b""
            if device != servers.device:
                route = route_to(servers.network or 0, device.to_bytes(3, "big"))  # VMAC: clause H.7.2
            objects = [one for one in wanted if one.device == device and one.type in OBJECT_TYPES]
            for at in range(0, len(objects), MOST_OBJECTS):
                found |= await _batch(client, objects[at : at + MOST_OBJECTS], route)
    return found


async def _batch(client: BacnetClient, objects: list[Object], route: bytes) -> dict[Object, Seen]:
    """One request; one whose answer would be too long is halved."""
    if not objects:
        return {}
    try:
        values = await client.read_many([(one.type, one.instance) for one in objects], PROPS, route)
    except BacnetError as error:
        if str(error) == "no answer":
            try:
                values = await client.read_many([(one.type, one.instance) for one in objects], PROPS, route)
            except BacnetError as again:
                raise OSError(f"BACnet: {again} from device {objects[0].device}") from again
        elif len(objects) == 1:
            return {objects[0]: Seen(problem=str(error))}
        else:
            half = len(objects) // 2
            return {**await _batch(client, objects[:half], route), **await _batch(client, objects[half:], route)}
    return {one: _seen(found) for one, found in zip(objects, values, strict=True)}


def _seen(found: dict[int, Any]) -> Seen:
    if PRESENT_VALUE not in found:
        return Seen(problem="there is no such object")
    value = found[PRESENT_VALUE]
    if isinstance(value, float) and math.isnan(value):
        value = None
    return Seen(
        int(value) if isinstance(value, bool) else value or None if isinstance(value, str) else value,
        reliability=found.get(RELIABILITY, 0),
        out_of_service=bool(found.get(OUT_OF_SERVICE, False)),
        name=str(found.get(OBJECT_NAME, "")),
    )
