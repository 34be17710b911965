"""Placed registers compiled to functions that write one sample into an image.

Rules of this file: everything that can be decided once is decided here; a cell takes (value, quality) and does
nothing but store bytes; a value that is lost never looks like a number (sentinel or 0B).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.addressing import PlacedRegister
from gateway.core.point import OnLoss, PointSpec
from gateway.core.registers import RegisterType, decoder, encoder, sentinel
from gateway.core.value import GOOD, STALE, Quality, Value
from gateway.servers.modbus.image import COIL_LOST, COIL_OFF, COIL_ON, LOST, MAPPED, SIZE, Image, Target

Cell = Callable[[Value | None, Quality], None]


class BitRegister:
    """A register whose bits are points of their own; it answers 0B while any of them has no value.

    Bits that no point uses, or whose optional point was never seen, read 0.
    """

    __slots__ = ("_fields", "_image", "_lost", "_register", "_word")

    def __init__(self, image: Image, register: int) -> None:
        self._image = image
        self._register = register
        self._word = 0
        self._lost = 0
        self._fields: dict[int, tuple[int, bool]] = {}

    def add(self, bit: int, index: int, writable: bool) -> None:
        """Gives a bit (0 the least significant on the wire) to a point; writable only if all its points are."""
        self._fields[bit] = (index, writable)
        if all(may for _, may in self._fields.values()):
            self._image.targets[self._register] = Target(self._register, 1, self._decode)
        else:
            self._image.targets.pop(self._register, None)

    def show(self, mask: int, value: bool | None) -> None:
        """Sets one bit; None takes its value away."""
        if value is None:
            self._lost |= mask
        else:
            self._lost &= ~mask
            self._word = self._word | mask if value else self._word & ~mask
        register = self._register
        self._image.data[register * 2 : register * 2 + 2] = self._word.to_bytes(2, "big")
        state = LOST if self._lost else MAPPED
        if self._image.state[register] != state:
            self._image.mark(register, bytes([state]))

    def _decode(self, data: bytes) -> Iterator[tuple[int, Value]]:
        word = int.from_bytes(data, "big")
        for bit, (index, _) in self._fields.items():
            yield index, bool(word >> bit & 1)


def check_place(placed: PlacedRegister) -> None:
    """A register must lie in 0..65535 with all its words.

    Raises:
        ValueError: it does not.
    """
    if not 0 <= placed.register <= SIZE - placed.spec.type.words:
        raise ValueError(f"register {placed.register} with {placed.spec.type.words} words is outside 0..65535")


def compile_cells(image: Image, index: int, point: PointSpec, placed: PlacedRegister) -> list[Cell]:
    """The cells of one number, text or bool encoding; registers its writes too."""
    spec, register = placed.spec, placed.register
    loss: OnLoss = "hold" if point.command is not None else spec.on_loss
    cells = [_register_cell(image, placed, loss)]
    if spec.type.name == "bool":
        cells.append(_coil_cell(image, register, loss))
    if is_writable(point):
        decode = decoder(spec.type, spec.scale, spec.word_order, spec.byte_order)
        target = Target(register, spec.type.words, lambda data: ((index, decode(data)),))
        for word in range(spec.type.words):
            image.targets[register + word] = target
        if spec.type.name == "bool":
            image.switches[register] = index
    return cells


def compile_bit(bits: BitRegister, index: int, point: PointSpec, placed: PlacedRegister) -> Cell:
    """The cell of one bit of a shared register. A bit has no sentinel: lost under `nan` it answers 0B."""
    bit = placed.spec.bit or 0
    if placed.spec.byte_order == "little":
        bit ^= 8
    bits.add(bit, index, is_writable(point))
    mask, show_bit = 1 << bit, bits.show
    hold = point.command is not None or placed.spec.on_loss == "hold"

    def show(value: Value | None, quality: Quality) -> None:
        known = value is not None and (quality is GOOD or quality is STALE or hold)
        show_bit(mask, bool(value) if known else None)

    return show


def is_writable(point: PointSpec) -> bool:
    """Whether clients may write the point at all."""
    return point.command is not None or point.writable


def is_bits(kind: RegisterType) -> bool:
    """Whether the register is shared by several points."""
    return kind.name == "bits"


def _register_cell(image: Image, placed: PlacedRegister, loss: OnLoss) -> Cell:
    spec, first = placed.spec, placed.register
    encode = encoder(spec.type, spec.scale, spec.word_order, spec.byte_order)
    nothing = sentinel(spec.type, spec.word_order, spec.byte_order)
    low, high = first * 2, (first + spec.type.words) * 2
    mapped, gone = bytes([MAPPED]) * spec.type.words, bytes([LOST]) * spec.type.words
    data, state, mark = image.data, image.state, image.mark
    hold, refuse = loss == "hold", loss == "exception"

    def show(value: Value | None, quality: Quality) -> None:
        if value is not None and (quality is GOOD or quality is STALE or hold):
            data[low:high] = encode(value)
        elif refuse:
            if state[first] != LOST:
                mark(first, gone)
            return
        else:
            data[low:high] = nothing
        if state[first] != MAPPED:
            mark(first, mapped)

    return show


def _coil_cell(image: Image, address: int, loss: OnLoss) -> Cell:
    coils, hold = image.coils, loss == "hold"

    def show(value: Value | None, quality: Quality) -> None:
        if value is not None and (quality is GOOD or quality is STALE or hold):
            coils[address] = COIL_ON if value else COIL_OFF
        else:
            coils[address] = COIL_LOST

    return show
