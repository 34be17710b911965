"""What a Modbus client's requests say about it.

Rules of this file: pure; a rule speaks only of what it saw; a range that goes on where another ended is a client that
reads in pieces, and no mistake.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from gateway.core.hints.extents import Extents, Place
from gateway.core.hints.finding import Finding, Often

MOST_RANGES = 64
RECENT_S = 60.0
LONGEST_READ, LONGEST_COIL_READ, LONGEST_WRITE, LONGEST_COIL_WRITE = 125, 2000, 123, 1968
READS, COIL_READS = frozenset({3, 4}), frozenset({1, 2})
REGISTER_WRITES, COIL_WRITES = frozenset({6, 16, 22, 23}), frozenset({5, 15})
MOST_AT_ONCE = {1: LONGEST_COIL_READ, 2: LONGEST_COIL_READ, 15: LONGEST_COIL_WRITE, 16: LONGEST_WRITE, 23: 121}
FUNCTION, ADDRESS, VALUE, NO_TARGET = 1, 2, 3, 11
"""Exception codes (V1.1b3, 7)."""
FEW_REQUESTS = 2
POLLS_PER_ROUND = 10.0
"""A client that asks so often between two reads of a source asks for nothing new nine times of ten."""
CALM_PER_S = 2.0
"""No client is told that it polls too fast below so many readings a second of the same range."""


class Asked(NamedTuple):
    """One request as it was answered: exception code or 0.

    `shifted` says for a refused read what would have worked: the same range one register lower (-1) or higher (+1).
    `may_write` is the client group's right; `units` the unit ids that are served, as text.
    """

    unit: int
    function: int
    address: int
    quantity: int
    code: int = 0
    shifted: int = 0
    may_write: bool = True
    known_unit: bool = True
    units: str = ""

    @property
    def end(self) -> int:
        """The register behind the last."""
        return self.address + self.quantity

    @property
    def range(self) -> str:
        """The registers in words."""
        return f"register {self.address}" if self.quantity == 1 else f"registers {self.address} to {self.end - 1}"

    @property
    def writes(self) -> bool:
        """Whether it writes."""
        return self.function in REGISTER_WRITES or self.function in COIL_WRITES


def judge(asked: Asked, extents: Extents, *, continues: bool = False) -> Finding | None:
    """What one request shows; `continues`: it goes on where another of the same client ended."""
    if not asked.known_unit:
        return Finding("unknown_unit", f"asks unit {asked.unit}, which nobody has here: {asked.units}")
    if asked.code == FUNCTION:
        return Finding("function", f"uses function {asked.function}, which is not served (1 to 6, 15, 16, 22, 23 are)")
    most = MOST_AT_ONCE.get(asked.function, LONGEST_READ)
    if asked.code == VALUE and asked.quantity > most:
        return Finding(
            "too_many", f"asks for {asked.quantity} at once with function {asked.function}: {most} are the most"
        )
    if asked.function in COIL_READS or asked.function in COIL_WRITES:
        return _coils(asked, extents)
    if asked.writes:
        return _write(asked, extents) if asked.code in (ADDRESS, VALUE) else None
    if asked.function not in READS:
        return None
    if asked.code == ADDRESS:
        return _unmapped(asked)
    return None if asked.code or continues else _cut(asked, extents)


def _unmapped(asked: Asked) -> Finding:
    """Registers that are not there; one beside those that are, perhaps because the tool counts from 1."""
    if not asked.shifted:
        return Finding("unmapped", f"asks for {asked.range}, where nothing is")
    first = asked.address + asked.shifted
    there = asked._replace(address=first).range
    return Finding(
        "one_based",
        f"asks for {asked.range}, which are not all there, but {there} would be: a tool that counts from 1? "
        "Registers here count from 0",
    )


def _cut(asked: Asked, extents: Extents) -> Finding | None:
    """An answered read that begins in the middle of a number, or takes only a part of the one it asks for."""
    place = extents.at(asked.unit, asked.address)
    if place is None or not place.is_number:
        return None
    if place.first < asked.address:
        return _middle(asked, place, extents)
    if asked.end < place.end:
        text = f"reads {asked.range} alone, a part of {place.where}: the number needs all {place.words} in one request"
        return Finding("half_read", text)
    return None


def _middle(asked: Asked, place: Place, extents: Extents) -> Finding:
    off = asked.address - place.first
    if asked.quantity > place.words and off == 1 and _whole(asked.unit, asked.address - 1, asked.end - 1, extents):
        text = f"asks for {asked.range}, one register above {place.where}: a 1-based tool? Registers here count from 0"
        return Finding("one_based", text)
    text = (
        f"reads {asked.range}, from the middle of {place.where}: read from {place.first}; if the number looks wrong "
        "there, it is the tool's word order"
    )
    return Finding("odd_offset", text)


def _whole(unit: int, first: int, end: int, extents: Extents) -> bool:
    """Whether a range neither begins nor ends inside a number."""
    edges = [extents.at(unit, first), extents.at(unit, end)]
    return all(place is None or place.first == at for place, at in zip(edges, (first, end), strict=True))


def _write(asked: Asked, extents: Extents) -> Finding | None:
    """A refused write: no right, half a number, or what cannot be written."""
    if not asked.may_write:
        return Finding("no_right", f"writes {asked.range}, but its client group may only read (modbus.clients: write)")
    places = extents.within(asked.unit, asked.address, max(asked.quantity, 1))
    first = places[0] if places else None
    is_command = first is not None and first.writable and first.is_number
    if first is not None and is_command and (asked.address, asked.quantity) == (first.first + 1, first.words):
        text = f"writes {asked.range}, one register above {first.where}: a 1-based tool? Registers count from 0"
        return Finding("one_based", text)
    for place in places:
        if place.writable and place.is_number and (place.first < asked.address or place.end > asked.end):
            text = f"writes half of {place.where} with function {asked.function}: write all {place.words} registers at "
            return Finding("half_write", f"{text}once, with function 16 from {place.first} on")
    if asked.code != ADDRESS:
        return None
    if first is None:
        return Finding("unmapped", f"writes {asked.range}, where nothing is")
    locked = next((place for place in places if not place.writable), None)
    return None if locked is None else Finding("read_only", f"writes {locked.where}, which can only be read")


def _coils(asked: Asked, extents: Extents) -> Finding | None:
    """A coil function where a register stands that is no bool; or a refused one where nothing is."""
    places = extents.within(asked.unit, asked.address, max(asked.quantity, 1))
    verb, other = ("writes", "16") if asked.writes else ("reads", "3 or 4")
    if places and all(place.type != "bool" for place in places):
        text = f"{verb} coils at {asked.address} with function {asked.function}, where {places[0].where} stands: "
        return Finding("coils", f"{text}that is a register, use function {other}")
    if asked.writes and asked.code == ADDRESS:
        if not asked.may_write:
            return Finding("no_right", f"writes coil {asked.address}, but its client group may only read")
        if places and not places[0].writable:
            return Finding("read_only", f"writes the coil of {places[0].where}, which can only be read")
    if asked.code == ADDRESS and not places:
        return Finding("unmapped", f"asks for coils from {asked.address} on, where nothing is")
    return None


def guess_protocol(data: bytes) -> str:
    """What a client that does not speak Modbus TCP probably speaks, in words."""
    if data[:2] == b"\x16\x03":
        return "TLS (is modbus.tls meant, on its own port?)"
    if data[:4] in (b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI"):
        return "HTTP"
    if len(data) >= 4 and 0 < data[1] < 0x80 and _crc(data[:-2]) == data[-2:]:
        return "Modbus RTU over TCP (set the tool to Modbus TCP)"
    return "something else than Modbus TCP"


def _crc(data: bytes) -> bytes:
    """CRC-16 of a serial line's frame (Modbus over Serial Line V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


class ModbusHabits:
    """What only many requests of one client show."""

    def __init__(self) -> None:
        self._ranges: OrderedDict[tuple[int, int, int], float] = OrderedDict()
        self._ends: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._short = Often(10, RECENT_S)
        self._same = Often(20, RECENT_S)
        self._values: OrderedDict[int, object] = OrderedDict()

    def asked(self, asked: Asked, extents: Extents, now: float) -> Finding | None:
        """Takes one request; what it shows."""
        continues = (asked.unit, asked.address) in self._ends
        if asked.function in READS and not asked.code:
            self._note_range(asked, now)
        return judge(asked, extents, continues=continues)

    def _note_range(self, asked: Asked, now: float) -> None:
        name, end = (asked.unit, asked.address, asked.quantity), (asked.unit, asked.end)
        for known, key in ((self._ranges, name), (self._ends, end)):
            if key not in known and len(known) >= MOST_RANGES:
                known.popitem(last=False)
        self._ranges[name] = now
        self._ranges.move_to_end(name)
        self._ends[end] = None

    def left(self, requests: int, now: float) -> Finding | None:
        """A connection ended after so many requests."""
        if 0 < requests <= FEW_REQUESTS and self._short.again("short", now):
            text = "opened 10 connections within a minute for one or two requests each: keep one connection open"
            return Finding("new_connections", text)
        return None

    def wrote(self, index: int, value: object, name: str, now: float, leased: Callable[[], bool]) -> Finding | None:
        """An accepted write of one point; `leased`: whether repeating it keeps something alive."""
        return same_write(self._values, self._same, index, value, name, now, leased)

    def polls(self, per_s: float, every_s: float, now: float) -> Finding | None:
        """Whether readings of the same ranges come much faster than the sources are read, every `every_s` at best."""
        recent = sum(now - seen <= RECENT_S for seen in self._ranges.values())
        if not 0 < recent < MOST_RANGES or per_s / recent <= max(CALM_PER_S, POLLS_PER_ROUND / every_s):
            return None
        text = (
            f"asks {per_s:.0f} times a second for {recent} range{'s' * (recent > 1)} of registers, which are read from "
            f"the products every {every_s:g} s at best: once a second is enough"
        )
        return Finding("fast_poll", text)


def same_write(
    values: OrderedDict[int, object],
    same: Often,
    index: int,
    value: object,
    name: str,
    now: float,
    leased: Callable[[], bool],
) -> Finding | None:
    """Notes an accepted write; tells of one that is repeated unchanged, 20 times a minute, without need."""
    unchanged = index in values and values[index] == value
    if index not in values and len(values) >= MOST_RANGES:
        values.popitem(last=False)
    values[index] = value
    if not unchanged or not same.again(index, now) or leased():
        return None
    text = f"writes {value} to {name} 20 times a minute though it does not change, and there is no lease to renew: "
    return Finding("same_write", f"{text}once is enough, or give its client group a lease_s")
