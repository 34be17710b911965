"""One client's connection: frames out of bytes, answers in order, limits.

Rules of this file: requests are answered strictly in order; what needs no acceptance by the engine is answered at
once, without a task; while a write is pending, everything behind it waits in the buffer; a client that breaks the
protocol or a limit loses its connection and nobody else's; timers are loop handles, nothing polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from struct import Struct
from typing import Any, cast

from pymodbus.server.requesthandler import ServerRequestHandler

from gateway.servers.modbus.answers import Answers, Pending
from gateway.servers.modbus.groups import ClientGroup
from gateway.servers.modbus.house import House
from gateway.servers.modbus.pace import Pace
from gateway.servers.modbus.reads import FRAME_BYTES
from gateway.servers.modbus.security import role_of

HEAD = Struct(">HHHBB")
"""MBAP header and function code: transaction, protocol, length of what follows, unit, function."""
INPUTS = 4
LONGEST_ANSWERED = 260
"""A length field of 255..260 is answered with 03; beyond, framing is lost."""
WAITING_BYTES = 4096
CHUNK_BYTES = 16384
UNREAD_BYTES = 65536
AT_ONCE = 500
"""So many pipelined requests are answered before other clients have a turn: some milliseconds."""


def no_short_way(_frame: bytes) -> None:
    """For clients with a cap: all that they ask may have to wait."""


class Connection(ServerRequestHandler):
    """A pymodbus request handler with framing, order and limits of its own.

    Attributes:
        group: who the client is.
        address: `ip:port`; role: in its certificate, None on the plain port.
        since: when it connected, loop time in seconds; `last` when it was last heard.
        requests: how many, of which the long way counts by function (`functions`), and the short one FC4 (`inputs`).
        looks: how many of the next requests the watcher wants to see; they go the long way.
    """

    group: ClientGroup
    _answers: Answers
    _again: Callable[[bytes], bytes | None]
    _write: Callable[[bytes], None]

    def __init__(self, shell: Any, house: House) -> None:
        super().__init__(shell, None, None, None)  # type: ignore[no-untyped-call]
        self._house = house
        self._counters = house.counters
        self._now = self.loop.time
        self._wire: asyncio.Transport | None = None
        self._bytes = b""
        self._dropped = False
        self._ended = False
        self._idle: asyncio.TimerHandle | None = None
        self._half: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._turn: asyncio.Handle | None = None
        self._pace: Pace | None = None
        self._paced = 0
        self.busy = False
        self.address = ""
        self.role: str | None = None
        self.since = self.last = self.loop.time()
        self.requests = self.inputs = 0
        self.looks = 0
        self.functions: dict[int, int] = {}

    @property
    def exceptions(self) -> int:
        """Exception answers so far."""
        return self._answers.exceptions

    @property
    def codes(self) -> dict[int, int]:
        """Exception answers by code."""
        return self._answers.codes

    @property
    def writes(self) -> int:
        """Accepted writes so far."""
        return self._answers.writes

    def callback_connected(self) -> None:
        """Lets the client in, or shuts the door before a byte is read."""
        self._wire = wire = cast("asyncio.Transport", self.transport)
        peer = wire.get_extra_info("peername")
        tls = wire.get_extra_info("ssl_object")
        self.role = None if tls is None else role_of(tls.getpeercert(binary_form=True))
        group = self._house.door.enter(self, peer[0], self.role) if peer else None
        if group is None:
            self.abort()
            return
        self.address = f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
        wire.set_write_buffer_limits(high=UNREAD_BYTES)
        self._write = wire.write
        self._join(group)
        self._idle = self.loop.call_later(self._house.idle_s, self._check_idle)
        self._house.watcher.entered(self)

    def _join(self, group: ClientGroup) -> None:
        self.group = group
        self._answers = Answers(self._house, group, self.address)
        self._again = self._answers.reads.again
        self._pace, self._paced = None, self.requests
        if group.requests_per_s is not None:
            self._pace = self._house.door.pace(self, group.requests_per_s)
            self._again = no_short_way
            self._slow_down(self._pace)

    def regroup(self, group: ClientGroup) -> None:
        """The client is of another group from the next request on; what was counted of it stays."""
        old = self._answers
        self._join(group)
        self._answers.exceptions, self._answers.writes, self._answers.codes = old.exceptions, old.writes, old.codes

    def callback_disconnected(self, exc: Exception | None) -> None:
        """Forgets the client; writes that it had sent whole are still carried out."""
        self._wire = None
        for timer in (self._idle, self._half, self._slow, self._turn):
            if timer is not None:
                timer.cancel()
        self._house.door.leave(self)
        self._house.watcher.left(self)

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        self._house.counters.slow_readers += 1
        self.abort()

    def resume_writing(self) -> None:
        """Nothing: the connection ended in `pause_writing`."""

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that only shut its sending side still gets the answer to a pending write."""
        self._ended = True
        return self.busy and self._wire is not None and self._wire.get_extra_info("ssl_object") is None

    def abort(self) -> None:
        """Closes at once; what waits is dropped."""
        self._dropped = True
        self._bytes = b""
        if self._wire is not None:
            self._wire.abort()

    def data_received(self, data: bytes) -> None:
        """Takes bytes in any cut, and no more for a while when the client is over its group's cap.

        One whole read alone that was answered before is what a client sends nearly always: it has a way of its own.
        """
        self.last = self._now()
        if len(data) == FRAME_BYTES and not (self._bytes or self.busy or self.looks):
            answer = self._again(data)
            if answer is not None:
                self.requests += 1
                self._counters.requests += 1
                if data[7] == INPUTS:
                    self.inputs += 1
                self._write(answer)
                return
        self._take(data)
        if self._pace is not None:
            self._slow_down(self._pace)

    def _take(self, data: bytes) -> None:
        """Answers what is whole."""
        self._bytes = self._bytes + data if self._bytes else data
        if not self.busy and self._slow is None:
            pending = self._answer_ready()
            if pending is not None:
                self.busy = True
                self._house.spawn(self._carry_out(pending))
        elif len(self._bytes) > WAITING_BYTES and self._wire is not None:
            self._wire.pause_reading()

    def _slow_down(self, pace: Pace) -> None:
        """Reads no further until the next request is allowed: nothing is lost, the client just waits."""
        answered, self._paced = self.requests - self._paced, self.requests
        wait_s = pace.wait_s(answered, self.loop.time())
        if wait_s > 0 and self._slow is None and self._wire is not None:
            self._house.counters.throttled += 1
            self._wire.pause_reading()
            self._slow = self.loop.call_later(wait_s, self._go_on, pace)
            if self._half is not None:
                self._half.cancel()
                self._half = None

    def _go_on(self, pace: Pace) -> None:
        """What came in spite of the pause first: a loop hands over what it had read already."""
        self._slow = None
        if not self.busy:
            self._take(b"")
            self._slow_down(pace)
        self._read_on()

    def _next_turn(self) -> None:
        """Goes on where the last turn ended, unless a write or the cap is waited for: that goes on by itself."""
        self._turn = None
        if not self.busy and self._slow is None:
            self._take(b"")
            if self._pace is not None:
                self._slow_down(self._pace)
        self._read_on()

    def _read_on(self) -> None:
        """Takes more from the client when nothing of it waits here."""
        if self._wire is not None and not self.busy and self._slow is None and self._turn is None:
            self._wire.resume_reading()

    def _answer_ready(self) -> Pending | None:
        """Answers whole requests up to the first that needs acceptance, which is returned."""
        data, position, out, pending, before = self._bytes, 0, b"", None, self.requests
        last = before + AT_ONCE
        while len(data) - position >= HEAD.size and not self._dropped and self.requests < last:
            transaction, protocol, length, unit, function = HEAD.unpack_from(data, position)
            start, end = position + 7, position + 6 + length
            if protocol or not 2 <= length <= LONGEST_ANSWERED or end > len(data):
                break
            position = end
            self.requests += 1
            self.functions[function] = self.functions.get(function, 0) + 1
            answer: bytes | Pending
            if function in {3, 4}:
                answer = self._answers.read(transaction, unit, function, data[start:end])
            else:
                answer = self._answers.answer(transaction, unit, function, data[start:end])
                if isinstance(answer, Pending):
                    pending = answer
                    break
            if self.looks:
                self.looks -= 1
                self._house.watcher.saw(self, unit, data[start:end], answer)
            out += answer
            if len(out) > CHUNK_BYTES:
                self._send(out)
                out = b""
        self._house.counters.requests += self.requests - before
        self._send(out)
        self._bytes = b"" if self._dropped else data[position:]
        if self._half is not None and position:
            self._half.cancel()
            self._half = None
        if self._bytes and pending is None:
            if self.requests < last:
                self._judge_rest(self._bytes)
            elif self._wire is not None and self._turn is None:
                self._wire.pause_reading()
                self._turn = self.loop.call_soon(self._next_turn)
        return None if self._dropped else pending

    def _judge_rest(self, rest: bytes) -> None:
        """What is left is the beginning of a frame, to be completed in time, or no Modbus at all.

        Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3: the protocol identifier is 0.
        """
        broken = len(rest) >= 4 and rest[2:4] != b"\0\0"
        if broken or (len(rest) >= 6 and not 2 <= int.from_bytes(rest[4:6], "big") <= LONGEST_ANSWERED):
            self._dropped = True
            self._bytes = b""
            if self._wire is not None:
                self._house.counters.bad_frames += 1
                self._house.door.complain(self.address)
                self._house.watcher.garbled(self, rest)
                self._wire.close()
        elif self._half is None and self._wire is not None:
            self._half = self.loop.call_later(self._house.half_frame_s, self._end_half)

    async def _carry_out(self, first: Pending) -> None:
        """Submits a write, then goes on with what waited behind it."""
        pending: Pending | None = first
        try:
            while pending is not None:
                answer = await self._answers.submit(pending)
                self._send(answer)
                if self.looks:
                    self.looks -= 1
                    self._house.watcher.wrote(self, pending, answer)
                pending = self._answer_ready()
        except BaseException:
            self.abort()
            raise
        finally:
            self.busy = False
        if self._wire is not None and not self._dropped:
            if self._ended:
                self._wire.close()
            else:
                if self._pace is not None:
                    self._slow_down(self._pace)
                self._read_on()

    def _send(self, data: bytes) -> None:
        if data and self._wire is not None and not self._wire.is_closing():
            self._wire.write(data)

    def _check_idle(self) -> None:
        left = self.last + self._house.idle_s - self.loop.time()
        if left <= 0 and not self.busy and self._slow is None:
            self._house.counters.idle += 1
            self.abort()
            return
        self._idle = self.loop.call_later(left if left > 0 else self._house.idle_s, self._check_idle)

    def _end_half(self) -> None:
        self._half = None
        self._house.counters.half_frames += 1
        self.abort()
