"""One client's requests to answers: what every function does, and who may do it.

Rules of this file: reads are answered from the image at once; a write that is understood is handed back to await its
acceptance; every answer is a whole frame with the request's transaction, unit and function.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from struct import Struct

import structlog

from gateway.core.errors import CommandRejected
from gateway.core.priority import Origin
from gateway.engine.ports import Ask
from gateway.servers.modbus.codes import Code, Refusal, reject_code
from gateway.servers.modbus.groups import ClientGroup
from gateway.servers.modbus.house import House
from gateway.servers.modbus.image import Image
from gateway.servers.modbus.writes import PARSERS, Write

ANSWER = Struct(">HHHBBB")
"""MBAP header, function, and a byte count or an exception code."""
TWO_WORDS = Struct(">HH")
LONGEST_PDU = 253
MASK_WRITE, READ_WRITE, IDENTIFICATION = 22, 23, 43
ALONE = {MASK_WRITE, READ_WRITE}
"""Functions that nobody else's write to the same points may come between."""
REPEATED_REFUSAL_S, MOST_REFUSALS = 60.0, 20
WHY = {
    Code.ADDRESS: "a register there cannot be written",
    Code.VALUE: "half of a value, or a quantity that does not fit",
    Code.FAILURE: "a heartbeat, or a register without a value, cannot be masked",
    Code.NO_TARGET: "there is no such unit",
    Code.BUSY: "not accepted in time",
}
log = structlog.get_logger("modbus")


@dataclass(frozen=True, slots=True)
class Pending:
    """A write that awaits acceptance, and where its answer goes."""

    transaction: int
    unit: int
    function: int
    image: Image
    pdu: bytes
    write: Write


class Answers:
    """What one client gets; `exceptions` (also by `codes`) and `writes` (accepted ones) are counted.

    `reads` are what clients with its gap policy have read.
    """

    def __init__(self, house: House, group: ClientGroup, address: str) -> None:
        self._house, self._group, self._address = house, group, address
        self._strict = group.gaps == "strict"
        self.reads = house.reads[group.gaps]
        self._origin = Origin("modbus", address, group.name)
        self._refused: set[tuple[int, int, int | None, str]] = set()
        self._forgot = -math.inf
        self.exceptions = self.writes = 0
        self.codes: dict[int, int] = {}

    def read(self, transaction: int, unit: int, function: int, pdu: bytes) -> bytes:
        """FC3 and FC4 (V1.1b3, 6.3 and 6.4); `reads` has the next one like it."""
        image = self._house.images.get(unit)
        if image is None:
            return self._exception(transaction, unit, function, Code.NO_TARGET)
        if len(pdu) != 5:
            return self._exception(transaction, unit, function, Code.VALUE)
        address, count = TWO_WORDS.unpack_from(pdu, 1)
        found = image.read_registers(address, count, self._strict)
        if isinstance(found, Code):
            return self._exception(transaction, unit, function, found)
        if image.own.cover(address, count):
            self._show_own(image, found, address)
        else:
            self.reads.keep(image, unit, function, address, count)
        return ANSWER.pack(transaction, 0, 3 + 2 * count, unit, function, 2 * count) + found

    def _show_own(self, image: Image, found: bytearray, address: int) -> None:
        """The client group's own heartbeat into what was read."""
        image.own.show(found, address, self._house.commands.heartbeat_of(self._origin.group))

    def answer(self, transaction: int, unit: int, function: int, pdu: bytes) -> bytes | Pending:
        """Every other function: its answer, or the write that awaits acceptance."""
        image = self._house.images.get(unit)
        found: bytes | Code
        if image is None or len(pdu) > LONGEST_PDU:
            found = Code.NO_TARGET if image is None else Code.VALUE
            if function in PARSERS:
                self._note_refusal(unit, pdu, WHY[found])
        elif function in PARSERS:
            write = self._parse(image, unit, function, pdu)
            if isinstance(write, Write):
                return Pending(transaction, unit, function, image, pdu, write)
            found = write
        elif function in {1, 2}:
            found = self._read_coils(image, pdu)
        elif function == IDENTIFICATION:
            found = self._house.identity.answer(pdu)
        else:
            found = Code.FUNCTION
        if isinstance(found, Code):
            return self._exception(transaction, unit, function, found)
        return _frame(transaction, unit, found)

    def _read_coils(self, image: Image, pdu: bytes) -> bytes | Code:
        """FC1 and FC2 (V1.1b3, 6.1 and 6.2)."""
        if len(pdu) != 5:
            return Code.VALUE
        address, count = TWO_WORDS.unpack_from(pdu, 1)
        found = image.read_coils(address, count, self._strict)
        return found if isinstance(found, Code) else bytes((pdu[0], len(found))) + found

    def _parse(self, image: Image, unit: int, function: int, pdu: bytes) -> Write | Code:
        if not self._group.write:
            self._house.counters.writes_without_right += 1
            self._note_refusal(unit, pdu, f"the client group {self._group.name!r} may not write")
            return Code.ADDRESS
        try:
            return PARSERS[function](image, pdu, self._strict)
        except Refusal as refusal:
            self._note_refusal(unit, pdu, WHY.get(refusal.code, "not a valid request"))
            return refusal.code

    def _note_refusal(self, unit: int, pdu: bytes, why: str) -> None:
        """Into the log and the evidence: each kind of refused write once a minute, for a BMS repeats what it does."""
        register = TWO_WORDS.unpack_from(pdu, 1)[0] if len(pdu) >= 5 else None
        refused, now = (pdu[0], unit, register, why), asyncio.get_running_loop().time()
        if now - self._forgot >= REPEATED_REFUSAL_S:
            self._refused.clear()
            self._forgot = now
        if refused in self._refused or len(self._refused) >= MOST_REFUSALS:
            return
        self._refused.add(refused)
        log.warning("modbus.write_refused", client=self._address, function=pdu[0], register=register, reason=why)
        place = f"modbus unit {unit}" if register is None else f"modbus unit {unit} register {register}"
        self._house.on_refused(place, self._origin, f"function {pdu[0]}: {why}")

    async def submit(self, pending: Pending) -> bytes:
        """All or nothing; the answer's frame."""
        where = (pending.transaction, pending.unit, pending.function)
        turn = self._house.turns.take(pending.write.values, alone=pending.function in ALONE)
        try:
            async with asyncio.timeout(self._group.answer_within_s), turn:
                found = await self._carry_out(pending)
        except CommandRejected as rejected:
            found = reject_code(rejected.reject)
        except TimeoutError:
            self._house.counters.write_timeouts += 1
            self._note_refusal(pending.unit, pending.pdu, WHY[Code.BUSY])
            found = Code.BUSY
        if isinstance(found, Code):
            return self._exception(*where, found)
        return _frame(pending.transaction, pending.unit, found)

    async def _carry_out(self, pending: Pending) -> bytes | Code:
        """A write whose turn it is; a mask is laid on what the register holds now. The answer's PDU."""
        house, image = self._house, pending.image
        write = pending.write
        if pending.function == MASK_WRITE:
            again = self._parse(image, pending.unit, MASK_WRITE, pending.pdu)
            if isinstance(again, Code):
                return again
            write = again
        heartbeat = image.own.heartbeat
        asks = [Ask(i, value, self._group.slot) for i, value in write.values.items() if i != heartbeat]
        if asks:
            await house.commands.submit(asks, self._origin)
        if heartbeat in write.values:
            house.commands.heartbeat(self._origin.group, int(write.values[heartbeat]))
        self.writes += 1
        house.counters.writes += 1
        if write.read is None:
            return write.answer
        found = image.read_registers(*write.read, self._strict)
        if isinstance(found, Code):
            return found
        if image.own.cover(*write.read):
            self._show_own(image, found, write.read[0])
        return bytes((pending.function, len(found))) + found

    def _exception(self, transaction: int, unit: int, function: int, code: Code) -> bytes:
        """An exception answer (V1.1b3, 7): the function code with its highest bit set, and why."""
        self.exceptions += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        self._house.counters.exceptions += 1
        return ANSWER.pack(transaction, 0, 3, unit, function | 0x80, code)


def _frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    return transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu
