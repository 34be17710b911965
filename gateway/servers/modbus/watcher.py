"""What every client asks, for the observatory.

Rules of this file: the way of a read that was answered before knows nothing of this but two integers; some requests
of each connection go the long way every second and are looked at closely; the rest is only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from gateway.addressing import Span
from gateway.core.hints import Asked, Finding, guess_protocol
from gateway.engine.observatory import ClientLog, Observatory
from gateway.servers.modbus.codes import Code
from gateway.servers.modbus.image import Image

if TYPE_CHECKING:
    from gateway.servers.modbus.answers import Pending
    from gateway.servers.modbus.connection import Connection

PROTOCOL = "modbus"
LOOKS_PER_S, MOST_LOOKS = 20, 100
"""Requests of one connection that are looked at: so many a second, and what was saved up while it was silent."""
TWO_WORDS = Struct(">HH")
COUNTED = frozenset({1, 2, 3, 4, 15, 16})
READ_WRITE, HOLDING, INPUTS = 23, 3, 4
FUNCTIONS = frozenset({1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43})
EXCEPTION_BIT = 0x80
FEW_UNITS = 8
NO_GROUP = "connects, but stands in no client group: add its address to `allow` of one (modbus.clients)"
NO_ROLE = (
    "connects to the secure port, but its certificate has no role of modbus.tls.roles, or its address is not in "
    "`allow` of that role's group"
)


@dataclass(slots=True)
class Seen:
    """What was brought of one connection already."""

    log: ClientLog
    requests: int = 0
    inputs: int = 0
    writes: int = 0
    functions: dict[int, int] = field(default_factory=dict)
    codes: dict[int, int] = field(default_factory=dict)


class Watcher:
    """Brings what connections count, and shows some of their requests to the rules.

    Args:
        observatory: where it goes; None: nobody watches.
        images: by unit id; `unit` is the one that all ids mean, None when each has its own.
        common: what stands in every unit.
        names: of the points, by table index.
    """

    def __init__(
        self,
        observatory: Observatory | None,
        images: Callable[[], Mapping[int, Image]],
        names: Sequence[str],
        *,
        unit: int | None,
        common: Span | None,
    ) -> None:
        self._observatory, self._images, self._names = observatory, images, names
        self._unit, self._common = unit, common
        self._inside: dict[Connection, Seen] = {}

    def begin(self) -> None:
        """The server listens."""
        if self._observatory is not None:
            self._observatory.on_tick(self._tick)

    def end(self) -> None:
        """Nothing more comes."""
        if self._observatory is not None:
            self._observatory.off_tick(self._tick)

    def divide(self, unit: int | None, common: Span | None) -> None:
        """The map is divided among other units now."""
        self._unit, self._common = unit, common

    def entered(self, connection: Connection) -> None:
        """A client was let in."""
        if self._observatory is not None:
            log = self._observatory.client(PROTOCOL, host_of(connection.address), connection.group.name)
            log.connections += 1
            self._inside[connection] = Seen(log)
            connection.looks = MOST_LOOKS

    def left(self, connection: Connection) -> None:
        """A connection is over, one that was never let in too."""
        seen = self._inside.pop(connection, None)
        if seen is not None and self._observatory is not None:
            self._fold(connection, seen, self._observatory)
            seen.log.connections -= 1
            now = self._observatory.now
            self._observatory.tell(seen.log, seen.log.modbus.left(connection.requests, now))

    def refused(self, host: str, secure: bool) -> None:
        """A client of no group was turned away, perhaps from the secure port."""
        if self._observatory is not None:
            text = NO_ROLE if secure else NO_GROUP
            self._observatory.tell(self._observatory.client(PROTOCOL, host), Finding("no_group", text))

    def garbled(self, connection: Connection, data: bytes) -> None:
        """A client lost framing with these bytes."""
        seen = self._inside.get(connection)
        if seen is not None and self._observatory is not None:
            self._observatory.tell(seen.log, Finding("not_modbus", f"sends {guess_protocol(data)}"))

    def saw(self, connection: Connection, unit: int, pdu: bytes, answer: bytes) -> None:
        """A request (its PDU with the function code) and its answer's frame."""
        seen, observatory = self._inside.get(connection), self._observatory
        if seen is None or observatory is None or not pdu:
            return
        asked = self._asked(connection, unit, pdu, answer)
        finding = seen.log.modbus.asked(asked, observatory.extents, observatory.now)
        observatory.tell(seen.log, finding)
        if not asked.known_unit:
            seen.log.missed(f"unit {unit}")
        elif asked.code == Code.ADDRESS and finding is not None and finding.id in {"unmapped", "one_based"}:
            seen.log.missed(f"unit {unit} {'coil' if asked.function in {1, 2, 5, 15} else 'register'} {_span(asked)}")

    def wrote(self, connection: Connection, pending: Pending, answer: bytes) -> None:
        """A write that the engine judged."""
        seen, observatory = self._inside.get(connection), self._observatory
        if seen is None or observatory is None or answer[7] & EXCEPTION_BIT:
            return
        slot, now = connection.group.slot, observatory.now
        for index, value in pending.write.values.items():
            leased = _leased(observatory, index, slot)
            observatory.tell(seen.log, seen.log.modbus.wrote(index, value, self._names[index], now, leased))

    def _asked(self, connection: Connection, unit: int, pdu: bytes, answer: bytes) -> Asked:
        function, code = pdu[0], answer[8] if answer[7] & EXCEPTION_BIT else 0
        at = 5 if function == READ_WRITE and len(pdu) >= 9 else 1
        address, count = TWO_WORDS.unpack_from(pdu, at) if len(pdu) >= at + 4 else (0, 1)
        if function not in COUNTED and function != READ_WRITE:
            count = 1
        images = self._images()
        image = images.get(unit)
        shifted = 0
        if image is not None and code == Code.ADDRESS and function in {HOLDING, INPUTS}:
            shifted = _shifted(image, address, count, strict=connection.group.gaps == "strict")
        return Asked(
            unit if image is None else self._map_unit(unit, address),
            function,
            address,
            count,
            code,
            shifted,
            may_write=connection.group.write,
            known_unit=image is not None,
            units="" if image is not None else self._served(images),
        )

    def _map_unit(self, unit: int, address: int) -> int:
        """The unit in which the map has a register."""
        common = self._common
        if common is not None and common.first <= address < common.first + common.count:
            return common.unit
        return unit if self._unit is None else self._unit

    def _served(self, images: Mapping[int, Image]) -> str:
        if self._unit is not None:
            return f"the unit is {self._unit}"
        units = sorted(images)
        more = f" and {len(units) - FEW_UNITS} more" if len(units) > FEW_UNITS else ""
        return f"units are {', '.join(map(str, units[:FEW_UNITS]))}{more}"

    def _tick(self, _now: float) -> None:
        observatory = self._observatory
        if observatory is None:
            return
        for connection, seen in self._inside.items():
            connection.looks = min(connection.looks + LOOKS_PER_S, MOST_LOOKS)
            self._fold(connection, seen, observatory)

    @staticmethod
    def _fold(connection: Connection, seen: Seen, observatory: Observatory) -> None:
        """Brings what a connection counted since the last time; quick reads are those that no function counts."""
        if connection.requests == seen.requests:
            return
        log = observatory.client(PROTOCOL, host_of(connection.address), connection.group.name)
        if log is not seen.log:
            log.connections += 1
            seen.log = log
        quick, inputs = connection.requests - seen.requests, connection.inputs - seen.inputs
        for function, count in connection.functions.items():
            new = count - seen.functions.get(function, 0)
            if new:
                observatory.count(log, _name(function), new)
                quick -= new
                seen.functions[function] = count
        for function, new in ((HOLDING, quick - inputs), (INPUTS, inputs)):
            if new:
                observatory.count(log, _name(function), new)
        for code, count in connection.codes.items():
            observatory.refused(log, str(code), count - seen.codes.get(code, 0))
            seen.codes[code] = count
        log.writes += connection.writes - seen.writes
        seen.requests, seen.inputs = connection.requests, connection.inputs
        seen.writes = connection.writes


def host_of(address: str) -> str:
    """The host of `ip:port` or `[ip]:port`."""
    return address.rpartition(":")[0].strip("[]")


def _leased(observatory: Observatory, index: int, slot: int) -> Callable[[], bool]:
    return lambda: observatory.leased(index, slot)


def _name(function: int) -> str:
    return str(function) if function in FUNCTIONS else "other"


def _span(asked: Asked) -> str:
    return str(asked.address) if asked.quantity <= 1 else f"{asked.address} to {asked.end - 1}"


def _shifted(image: Image, address: int, count: int, *, strict: bool) -> int:
    """Whether the same read one register lower or higher would find only registers that are there."""
    for step in (-1, 1):
        if address + step >= 0 and not isinstance(image.read_registers(address + step, count, strict), Code):
            return step
    return 0
