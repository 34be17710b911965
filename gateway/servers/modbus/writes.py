"""Write requests to asks: what is written, what is answered when it was accepted, or why not.

Rules of this file: pure; a request is refused as a whole or understood as a whole; no right and not writable
answer 02, a wrong quantity, half a value or NaN 03, in the order of the state diagrams of V1.1b3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.value import Value
from gateway.servers.modbus.codes import Code, Refusal
from gateway.servers.modbus.image import MAPPED, Image

MAX_WRITE_REGISTERS = 123
MAX_WRITE_COILS = 1968
MAX_READ_WRITE_REGISTERS = 121
ON, OFF = 0xFF00, 0x0000


@dataclass(frozen=True, slots=True)
class Write:
    """An understood write: values by table index, the answer's PDU, and for FC23 what to read (address, count)."""

    values: dict[int, Value]
    answer: bytes
    read: tuple[int, int] | None = None


Parser = Callable[[Image, bytes, bool], Write]
"""Image, the PDU with its function code, and whether gaps are refused, to a write; raises Refusal."""


def register_values(image: Image, address: int, data: bytes) -> dict[int, Value]:
    """The values that `data` (wire bytes of whole registers from `address` on) stands for, by table index.

    Raises:
        Refusal: 02 a register is not writable; 03 half a value, or one point given two values.
    """
    end = address + len(data) // 2
    targets = image.targets
    if any(register not in targets for register in range(address, end)):
        raise Refusal(Code.ADDRESS)
    values: dict[int, Value] = {}
    position = address
    while position < end:
        target = targets[position]
        after = position + target.words
        if target.first != position or after > end:
            raise Refusal(Code.VALUE)
        for index, value in target.decode(data[(position - address) * 2 : (after - address) * 2]):
            if index in values and values[index] != value:
                raise Refusal(Code.VALUE)
            values[index] = value
        position = after
    return values


def write_coil(image: Image, pdu: bytes, strict: bool) -> Write:
    """FC5 (V1.1b3, 6.5): FF00 is on, 0000 is off, anything else is refused."""
    address, word = _two_words(pdu)
    if word not in (ON, OFF):
        raise Refusal(Code.VALUE)
    return Write(_coil_values(image, address, [word == ON]), pdu)


def write_register(image: Image, pdu: bytes, strict: bool) -> Write:
    """FC6 (V1.1b3, 6.6): one whole one-register value; the answer is the request."""
    address, _ = _two_words(pdu)
    return Write(register_values(image, address, pdu[3:5]), pdu)


def write_coils(image: Image, pdu: bytes, strict: bool) -> Write:
    """FC15 (V1.1b3, 6.11): 1..1968 coils, the first in the lowest bit."""
    address, count, data = _block(pdu)
    if not 0 < count <= MAX_WRITE_COILS or len(data) != (count + 7) // 8:
        raise Refusal(Code.VALUE)
    states = [bool(data[n >> 3] >> (n & 7) & 1) for n in range(count)]
    return Write(_coil_values(image, address, states), pdu[:5])


def write_registers(image: Image, pdu: bytes, strict: bool) -> Write:
    """FC16 (V1.1b3, 6.12): 1..123 registers that together are whole values."""
    address, count, data = _block(pdu)
    if not 0 < count <= MAX_WRITE_REGISTERS or len(data) != count * 2:
        raise Refusal(Code.VALUE)
    return Write(register_values(image, address, data), pdu[:5])


def mask_write(image: Image, pdu: bytes, strict: bool) -> Write:
    """FC22 (V1.1b3, 6.16): (now AND and) OR (or AND NOT and); a lost register or a heartbeat cannot be masked (04)."""
    if len(pdu) != 7:
        raise Refusal(Code.VALUE)
    address, and_mask, or_mask = struct.unpack(">HHH", pdu[1:])
    if address not in image.targets:
        raise Refusal(Code.ADDRESS)
    if image.state[address] != MAPPED or image.own.cover(address, 1):
        raise Refusal(Code.FAILURE)
    now = int.from_bytes(image.data[address * 2 : address * 2 + 2], "big")
    word = (now & and_mask) | (or_mask & ~and_mask & 0xFFFF)
    return Write(register_values(image, address, word.to_bytes(2, "big")), pdu)


def read_write(image: Image, pdu: bytes, strict: bool) -> Write:
    """FC23 (V1.1b3, 6.17): writes, then reads; nothing is written when the read would be refused."""
    if len(pdu) < 10:
        raise Refusal(Code.VALUE)
    read_at, read_count, address, count, size = struct.unpack(">HHHHB", pdu[1:10])
    data = pdu[10:]
    if not 0 < count <= MAX_READ_WRITE_REGISTERS or size != count * 2 or len(data) != size:
        raise Refusal(Code.VALUE)
    found = image.read_registers(read_at, read_count, strict)
    if isinstance(found, Code) and found is not Code.NO_TARGET:
        raise Refusal(found)
    return Write(register_values(image, address, data), b"", (read_at, read_count))


PARSERS: dict[int, Parser] = {
    5: write_coil,
    6: write_register,
    15: write_coils,
    16: write_registers,
    22: mask_write,
    23: read_write,
}


def _two_words(pdu: bytes) -> tuple[int, int]:
    if len(pdu) != 5:
        raise Refusal(Code.VALUE)
    address, word = struct.unpack(">HH", pdu[1:])
    return address, word


def _block(pdu: bytes) -> tuple[int, int, bytes]:
    """Address, quantity and data; the byte count must be that of the data."""
    if len(pdu) < 6:
        raise Refusal(Code.VALUE)
    address, count, size = struct.unpack(">HHB", pdu[1:6])
    if len(pdu) != 6 + size:
        raise Refusal(Code.VALUE)
    return address, count, pdu[6:]


def _coil_values(image: Image, address: int, states: list[bool]) -> dict[int, Value]:
    """Coil states by table index; a coil that cannot be written refuses them all."""
    values: dict[int, Value] = {}
    for coil, state in enumerate(states, address):
        index = image.switches.get(coil)
        if index is None:
            raise Refusal(Code.ADDRESS)
        if values.setdefault(index, state) != state:
            raise Refusal(Code.VALUE)
    return values
