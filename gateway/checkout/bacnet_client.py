"""A plain BACnet/IP client, also to a device behind a router (ASHRAE 135 clauses 6, 15.5, 15.7, 15.9 and 20).

It has ReadProperty, ReadPropertyMultiple and WriteProperty of Present_Value.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from gateway.checkout.tags import Cut, values_of
from gateway.core.errors import GatewayError

ANSWER_S = 3.0
OBJECT_TYPES = {
    "analog-input": 0,
    "analog-value": 2,
    "binary-input": 3,
    "binary-value": 5,
    "device": 8,
    "multi-state-input": 13,
    "multi-state-value": 19,
    "characterstring-value": 40,
}
OBJECT_NAME, OUT_OF_SERVICE, PRESENT_VALUE, PRIORITY_ARRAY, RELIABILITY = 77, 81, 85, 87, 103
_SIMPLE_ACK, _COMPLEX_ACK, _ERROR, _REJECT, _ABORT = 2, 3, 5, 6, 7
_ANSWERS = (_SIMPLE_ACK, _COMPLEX_ACK, _ERROR, _REJECT, _ABORT)
_TAG_BOOL = 1


class BacnetError(GatewayError):
    """The device answered Error, Reject or Abort, or nothing usable."""


class BacnetClient:
    """An async context manager around one UDP socket; it binds a port of its own."""

    def __init__(self, host: str, port: int, *, local: str = "127.0.0.1") -> None:
        self._peer, self._local = (host, port), local
        self._invoke = 0
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def __aenter__(self) -> BacnetClient:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._answers), local_addr=(self._local, 0)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    async def read(self, object_type: str, instance: int, prop: int = PRESENT_VALUE) -> Any:
        """One application-tagged value: float, int, bool, str or None.

        Raises:
            BacnetError: with class and code.
        """
        body = await self._ask(12, _object(object_type, instance) + bytes((0x19, prop)))
        start = body.index(b"\x3e") + 1
        return _value(body[start:])

    async def write_real(self, object_type: str, instance: int, value: float | None, priority: int) -> None:
        """Present_Value at a priority; None releases it.

        Raises:
            BacnetError: with class and code.
        """
        tagged = b"\x00" if value is None else b"\x44" + struct.pack(">f", value)
        head = _object(object_type, instance) + bytes((0x19, PRESENT_VALUE))
        await self._ask(15, head + b"\x3e" + tagged + b"\x3f" + bytes((0x49, priority)))

    async def read_many(
        self, objects: Sequence[tuple[str, int]], props: Sequence[int], route: bytes = b""
    ) -> list[dict[int, Any]]:
        """Properties of several objects, one dictionary each, in order; a property that was refused is left out.

        `route` as route_to() makes it, for a device behind a router.

        Raises:
            BacnetError: refused as a whole (too long for one answer, for example), or no usable answer.
        """
        wanted = b"".join(bytes((0x09, prop)) for prop in props)
        body = b"".join(_object(kind, number) + b"\x1e" + wanted + b"\x1f" for kind, number in objects)
        answer = await self._ask(14, body, route)
        try:
            found = values_of(answer)
        except Cut as error:
            raise BacnetError(f"an answer that cannot be read: {error}") from None
        keys = [OBJECT_TYPES[kind] << 22 | number for kind, number in objects]
        if [key for key, _ in found] != keys:
            raise BacnetError("an answer about other objects")
        return [values for _, values in found]

    async def _ask(self, service: int, body: bytes, route: bytes = b"") -> bytes:
        self._invoke = (self._invoke + 1) & 0xFF
        apdu = bytes((0x00, 0x05, self._invoke, service)) + body
        frame = (bytes((0x01, 0x24)) + route + b"\xff" if route else b"\x01\x04") + apdu
        self._transport.sendto(b"\x81\x0a" + struct.pack(">H", len(frame) + 4) + frame, self._peer)
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    answer = _apdu(await self._answers.get())
                    if len(answer) > 2 and answer[0] >> 4 in _ANSWERS and answer[1] == self._invoke:
                        return _judged(answer)
        except TimeoutError:
            raise BacnetError("no answer") from None


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, answers: asyncio.Queue[bytes]) -> None:
        self._answers = answers

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._answers.put_nowait(data)


def _object(object_type: str, instance: int) -> bytes:
    return b"\x0c" + struct.pack(">I", OBJECT_TYPES[object_type] << 22 | instance)


def route_to(network: int, mac: bytes) -> bytes:
    """DNET, DLEN and DADR of a device behind a router."""
    return struct.pack(">HB", network, len(mac)) + mac


def _apdu(frame: bytes) -> bytes:
    """The APDU of an Original-Unicast-NPDU to us, from wherever it comes; b"" for anything else."""
    if frame[:2] != b"\x81\x0a" or len(frame) < 9 or frame[5] & 0xA0:
        return b""
    return frame[9 + frame[8] :] if frame[5] & 0x08 else frame[6:]


def _judged(answer: bytes) -> bytes:
    kind = answer[0] >> 4
    if kind == _SIMPLE_ACK:
        return b""
    if kind == _COMPLEX_ACK:
        return answer[3:]
    if kind == _ERROR:
        raise BacnetError(f"Error class {answer[4]} code {answer[6]}")
    raise BacnetError(f"{'Reject' if kind == _REJECT else 'Abort'} reason {answer[2]}")


def _value(data: bytes) -> Any:
    tag, length = data[0] >> 4, data[0] & 0x07
    body = data[1:]
    if tag == _TAG_BOOL:
        return bool(length)
    if length == 5:
        length, body = body[0], body[1:]
    body = body[:length]
    match tag:
        case 0:
            return None
        case 4:
            return struct.unpack(">f", body)[0]
        case 7:
            return body[1:].decode("utf-8", "replace")
        case 2 | 9:
            return int.from_bytes(body, "big")
    raise BacnetError(f"an answer with tag {tag} is not expected here")
