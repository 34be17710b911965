"""A COV client in octets: subscribes, and reads notifications with a decoder of its own."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Any

from tests.servers.bacnet.conftest import Bench, RawClient, unicast

PV, FLAGS = 85, 111
CURRENT, STATE, NOTE, LIMIT, DEVICE = 0, 13 << 22, 40 << 22, 2 << 22 | 7, 8 << 22 | 260001
CHARGING = 3 << 22


@dataclass(frozen=True)
class Notification:
    """What arrived; `invoke` is None for an unconfirmed one, `values` are by property."""

    invoke: int | None
    process: int
    device: int
    key: int
    remaining: int
    values: dict[int, Any]


def decode(apdu: bytes) -> Notification | None:
    """A notification, None for any other APDU; every octet must be accounted for."""
    if apdu[:2] == b"\x10\x02":
        invoke, rest = None, apdu[2:]
    elif apdu[0] == 0x00 and apdu[3] == 1:
        invoke, rest = apdu[2], apdu[4:]
    else:
        return None
    process, rest = context(rest, 0)
    device, rest = context(rest, 1)
    key, rest = context(rest, 2)
    remaining, rest = context(rest, 3)
    assert rest[0] == 0x4E
    assert rest[-1] == 0x4F
    rest, values = rest[1:-1], {}
    while rest:
        prop, rest = context(rest, 0)
        assert rest[0] == 0x2E
        value, rest = application(rest[1:])
        assert rest[0] == 0x2F
        values[prop], rest = value, rest[1:]
    return Notification(invoke, process, device, key, remaining, values)


def context(data: bytes, number: int) -> tuple[int, bytes]:
    assert data[0] & 0xF8 == number << 4 | 8, data.hex()
    length = data[0] & 7
    assert length < 5
    return int.from_bytes(data[1 : 1 + length], "big"), data[1 + length :]


def application(data: bytes) -> tuple[Any, bytes]:
    tag, length, at = data[0] >> 4, data[0] & 7, 1
    if length == 5:
        length, at = data[1], 2
    content, rest = data[at : at + length], data[at + length :]
    if tag == 4:
        return struct.unpack(">f", content)[0], rest
    if tag == 7:
        return content[1:].decode(), rest
    if tag == 8:
        return f"{content[1] >> (content[0]):0{8 * (length - 1) - content[0]}b}", rest
    return int.from_bytes(content, "big"), rest


def real(value: float) -> bytes:
    return struct.pack(">f", value)


class Watcher(RawClient):
    """One subscriber; answers to requests and notifications may come in any order."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.server.port)
        self.invoke = 0
        self.inbox: list[Notification] = []

    async def request(self, service: int, body: bytes) -> str | None:
        """The answer to a confirmed request, without its invoke id."""
        self.invoke = self.invoke % 255 + 1
        self.send(unicast(bytes((0x00, 0x05, self.invoke, service)) + body))
        while (apdu := await self.apdu_in(1.0)) is not None:
            found = decode(apdu)
            if found is None:
                assert apdu[1] == self.invoke
                return (apdu[:1] + apdu[2:]).hex()
            self.inbox.append(found)
        return None

    async def subscribe(
        self, key: int, lifetime: int | None = 60, *, confirmed: bool | None = False, process: int = 1
    ) -> str | None:
        return await self.request(5, subscription(key, lifetime, confirmed, process))

    async def subscribe_property(
        self, key: int, prop: int, increment: float | None = None, lifetime: int | None = 60, process: int = 1
    ) -> str | None:
        tail = b"" if increment is None else b"\x5c" + real(increment)
        return await self.request(28, subscription(key, lifetime, False, process) + b"\x4e\x09%c\x4f" % prop + tail)

    async def apdu_in(self, wait_s: float = 0.3) -> bytes | None:
        answer = await self.receive(wait_s)
        return None if answer is None else answer[6:]

    async def next(self, wait_s: float = 1.0, *, ack: bool = True) -> Notification | None:
        """The next notification; a confirmed one is acknowledged."""
        found = self.inbox.pop(0) if self.inbox else None
        if found is None:
            apdu = await self.apdu_in(wait_s)
            found = decode(apdu) if apdu is not None else None
        if found is not None and found.invoke is not None and ack:
            self.send(unicast(bytes((0x20, found.invoke, 1))))
        return found

    async def value(self) -> Any:
        found = await self.next()
        assert found is not None
        return found.values[PV]

    async def silent(self, wait_s: float = 0.15) -> bool:
        return await self.next(wait_s) is None


def subscription(key: int, lifetime: int | None, confirmed: bool | None, process: int) -> bytes:
    body = b"\x09%c\x1c" % process + key.to_bytes(4, "big")
    if confirmed is not None:
        body += b"\x29%c" % confirmed
    if lifetime is not None:
        body += b"\x3b" + lifetime.to_bytes(3, "big")
    return body


async def settle() -> None:
    """Lets the server's task run; in naps, of which a process that stands still loses one."""
    for _ in range(10):
        await asyncio.sleep(0.004)
