"""A plain Modbus TCP client: one connection, one request at a time, registers as integers."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from types import TracebackType

from gateway.core.errors import GatewayError

ANSWER_S = 5.0


class ModbusError(GatewayError):
    """The server answered an exception (`code`), or nothing usable (`code` 0)."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class ModbusClient:
    """An async context manager around one connection."""

    def __init__(self, host: str, port: int, unit: int = 1) -> None:
        self._host, self._port, self._unit = host, port, unit
        self._transaction = 0

    async def __aenter__(self) -> ModbusClient:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):  # wait_for swallows a cancellation that comes with the end
                await self._writer.wait_closed()

    async def read(self, register: int, count: int, *, unit: int | None = None, function: int = 3) -> bytes:
        """FC3 (or 4): `count` registers from a 0-based address, as they came: two octets each.

        Raises:
            ModbusError: exception, another length than asked for, or no answer within 5 s.
        """
        answer = await self._ask(struct.pack(">BHH", function, register, count), unit)
        if answer[:1] != bytes((2 * count,)) or len(answer) != 2 * count + 1:
            raise ModbusError(f"{len(answer) - 1} octets for {count} registers")
        return answer[1:]

    async def read_bit(self, address: int, *, unit: int | None = None, function: int = 1) -> bool:
        """FC1 (or 2): one coil or discrete input.

        Raises:
            ModbusError: exception, or no answer within 5 s.
        """
        answer = await self._ask(struct.pack(">BHH", function, address, 1), unit)
        if len(answer) != 2:
            raise ModbusError(f"{len(answer)} octets for one bit")
        return bool(answer[1] & 1)

    async def read_float(self, register: int) -> float:
        """FC3: a float32 in ABCD order."""
        value: float = struct.unpack(">f", await self.read(register, 2))[0]
        return value

    async def write(self, register: int, data: bytes) -> None:
        """FC16: whole registers.

        Raises:
            ModbusError: exception, or no answer within 5 s.
        """
        await self._ask(struct.pack(">BHHB", 16, register, len(data) // 2, len(data)) + data)

    async def write_float(self, register: int, value: float) -> None:
        """FC16: a float32 in ABCD order."""
        await self.write(register, struct.pack(">f", value))

    async def _ask(self, pdu: bytes, unit: int | None = None) -> bytes:
        self._transaction = (self._transaction + 1) & 0xFFFF
        header = struct.pack(">HHHB", self._transaction, 0, len(pdu) + 1, self._unit if unit is None else unit)
        try:
            async with asyncio.timeout(ANSWER_S):
                self._writer.write(header + pdu)
                await self._writer.drain()
                transaction, _, length, _unit = struct.unpack(">HHHB", await self._reader.readexactly(7))
                answer = await self._reader.readexactly(length - 1)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            raise ModbusError(f"no answer: {error!r}") from error
        if transaction != self._transaction:
            raise ModbusError("an answer to another request")
        if answer[0] != pdu[0]:
            raise ModbusError(f"exception {answer[1]:02X}", answer[1])
        return answer[1:]
