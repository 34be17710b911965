"""The register image of one unit: what reads are answered from, without waiting and without a loop per register.

Rules of this file: one state byte and two value bytes per register, one byte per coil; holding and input registers
are the same map, coils and discrete inputs too; reads never change anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.addressing import PlacedPoint, PlacedRegister, Span
from gateway.core.value import Value
from gateway.servers.modbus.codes import Code
from gateway.servers.modbus.own import OwnRegisters

SIZE = 65536
MAX_REGISTERS = 125
MAX_COILS = 2000

UNMAPPED, GAP, MAPPED, LOST = 0, 1, 2, 3
"""States of a register: nothing there, unassigned inside a span, a value, a value that answers 0B."""

COIL_UNMAPPED, COIL_LOST, COIL_GAP_OFF, COIL_GAP_ON, COIL_OFF, COIL_ON = 0, 1, 2, 3, 4, 5
"""States of a coil; of all but the first two the lowest bit is what a read answers."""

BIT_TEXT = bytes(b"01"[state & 1] for state in range(256))


@dataclass(frozen=True, slots=True)
class Target:
    """What a write of whole registers means: `words` registers from `first` on to (table index, value) pairs."""

    first: int
    words: int
    decode: Callable[[bytes], Iterable[tuple[int, Value]]]


class Image:
    """65536 registers and coils of one unit, and which of them can be written.

    `data` is big-endian as on the wire. `targets` holds the target of every writable register, `switches` the
    table index of every writable coil. `own` are the registers that a client group has of its own. `layout` is
    another number after every change of a register's state.
    """

    __slots__ = ("coils", "data", "layout", "own", "spans", "state", "switches", "targets")

    def __init__(self) -> None:
        self.data = bytearray(SIZE * 2)
        self.state = bytearray(SIZE)
        self.coils = bytearray(SIZE)
        self.spans: list[Span] = []
        self.targets: dict[int, Target] = {}
        self.switches: dict[int, int] = {}
        self.own = OwnRegisters()
        self.layout = 0

    def mark(self, first: int, states: bytes | bytearray) -> None:
        """Sets the states of registers from `first` on."""
        self.state[first : first + len(states)] = states
        self.layout += 1

    def place_own(self, index: int, point: PlacedPoint, placed: PlacedRegister) -> None:
        """Notes a register that every client group has one of."""
        self.own.place(index, point, placed)
        self.layout += 1

    def add_span(self, span: Span) -> None:
        """Makes a range readable as a block; registers that are placed later replace the fill.

        Raises:
            ValueError: the range leaves 0..65535.
        """
        first, end = span.first, span.first + span.count
        if not 0 <= first < end <= SIZE:
            raise ValueError(span)
        self.spans.append(span)
        self.data[first * 2 : end * 2] = span.fill.to_bytes(2, "big") * span.count
        self.mark(first, bytes([GAP]) * span.count)
        self.coils[first:end] = bytes([COIL_GAP_ON if span.fill & 1 else COIL_GAP_OFF]) * span.count

    def join(self, home: Image, span: Span) -> None:
        """Gives a range the same values as in another unit, and writes there the same meaning."""
        self.copy(home, span)
        self.own = home.own
        self.layout += 1
        common = range(span.first, span.first + span.count)
        self.targets |= {register: target for register, target in home.targets.items() if register in common}
        self.switches |= {coil: index for coil, index in home.switches.items() if coil in common}

    def copy(self, home: Image, span: Span) -> None:
        """Takes over the values of a range of another unit."""
        first, end = span.first, span.first + span.count
        self.data[first * 2 : end * 2] = home.data[first * 2 : end * 2]
        if self.state[first:end] != home.state[first:end]:
            self.mark(first, home.state[first:end])
        self.coils[first:end] = home.coils[first:end]

    def read_registers(self, address: int, count: int, strict: bool) -> bytearray | Code:
        """`count` registers as wire bytes, or the exception code (V1.1b3, 6.3 and 6.4).

        `strict` refuses registers that are unassigned inside a span.
        """
        if not 0 < count <= MAX_REGISTERS:
            return Code.VALUE
        end = address + count
        find = self.state.find
        if end > SIZE or find(UNMAPPED, address, end) >= 0 or (strict and find(GAP, address, end) >= 0):
            return Code.ADDRESS
        if find(LOST, address, end) >= 0:
            return Code.NO_TARGET
        return self.data[address * 2 : end * 2]

    def read_coils(self, address: int, count: int, strict: bool) -> bytes | Code:
        """`count` coils packed, the first in the lowest bit, or the exception code (V1.1b3, 6.1 and 6.2)."""
        if not 0 < count <= MAX_COILS:
            return Code.VALUE
        end = address + count
        coils = self.coils[address:end]
        if end > SIZE or COIL_UNMAPPED in coils or (strict and (COIL_GAP_ON in coils or COIL_GAP_OFF in coils)):
            return Code.ADDRESS
        if COIL_LOST in coils:
            return Code.NO_TARGET
        return int(coils.translate(BIT_TEXT)[::-1], 2).to_bytes((count + 7) // 8, "little")
