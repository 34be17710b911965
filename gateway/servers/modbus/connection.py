"""One client's connection: frames out of bytes, answers in order, limits.

Rules of this file: requests are answered strictly in order; what needs no acceptance by the engine is answered at
once, without a task; while a write is pending, everything behind it waits in the buffer; a client that breaks the
protocol or a limit loses its connection and nobody else's; timers are loop handles, nothing polls.
"""

from __future__ import annotations

import asyncio
from struct import Struct
from typing import Any, cast

from pymodbus.server.requesthandler import ServerRequestHandler

from gateway.servers.modbus.answers import Answers, Pending
from gateway.servers.modbus.groups import ClientGroup
from gateway.servers.modbus.house import House
from gateway.servers.modbus.pace import Pace
from gateway.servers.modbus.security import role_of

HEAD = Struct(">HHHBB")
"""MBAP header and function code: transaction, protocol, length of what follows, unit, function."""
READ = Struct(">HHHBBHH")
"""A whole read request, which is what a client sends nearly always: MBAP header, function, address, quantity."""
LONGEST_ANSWERED = 260
"""A length field of 255..260 is answered with 03; beyond, framing is lost."""
WAITING_BYTES = 4096
CHUNK_BYTES = 16384
UNREAD_BYTES = 65536


class Connection(ServerRequestHandler):
    """A pymodbus request handler with framing, order and limits of its own.

    Attributes:
        group: who the client is.
        address: `ip:port`.
        since: when it connected, loop time in seconds; `last` when it was last heard.
    """

    group: ClientGroup
    _answers: Answers

    def __init__(self, shell: Any, house: House) -> None:
        super().__init__(shell, None, None, None)  # type: ignore[no-untyped-call]
        self._house = house
        self._wire: asyncio.Transport | None = None
        self._bytes = b""
        self._dropped = False
        self._ended = False
        self._idle: asyncio.TimerHandle | None = None
        self._half: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._pace: Pace | None = None
        self._paced = 0
        self.busy = False
        self.address = ""
        self.since = self.last = self.loop.time()
        self.requests = 0

    @property
    def exceptions(self) -> int:
        """Exception answers so far."""
        return self._answers.exceptions

    @property
    def writes(self) -> int:
        """Accepted writes so far."""
        return self._answers.writes

    def callback_connected(self) -> None:
        """Lets the client in, or shuts the door before a byte is read."""
        self._wire = wire = cast("asyncio.Transport", self.transport)
        peer = wire.get_extra_info("peername")
        tls = wire.get_extra_info("ssl_object")
        role = None if tls is None else role_of(tls.getpeercert(binary_form=True))
        group = self._house.door.enter(self, peer[0], role) if peer else None
        if group is None:
            self.abort()
            return
        self.group = group
        self.address = f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
        wire.set_write_buffer_limits(high=UNREAD_BYTES)
        self._answers = Answers(self._house, group, self.address)
        if group.requests_per_s is not None:
            self._pace = Pace(group.requests_per_s, self.loop.time())
        self._idle = self.loop.call_later(self._house.idle_s, self._check_idle)

    def callback_disconnected(self, exc: Exception | None) -> None:
        """Forgets the client; writes that it had sent whole are still carried out."""
        self._wire = None
        for timer in (self._idle, self._half, self._slow):
            if timer is not None:
                timer.cancel()
        self._house.door.leave(self)

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

        One whole read, alone, which is what a client sends nearly always, has a way of its own that is half as long.
        """
        self.last = self.loop.time()
        if len(data) == READ.size and not self._bytes and not self.busy and self._wire is not None:
            transaction, protocol, length, unit, function, address, count = READ.unpack(data)
            if protocol == 0 and length == 6 and (function == 3 or function == 4):  # noqa: PLR1714  # quicker than `in`
                self.requests += 1
                self._house.counters.requests += 1
                self._wire.write(self._answers.read(transaction, unit, function, address, count))
            else:
                self._take(data)
        else:
            self._take(data)
        if self._pace is not None:
            self._slow_down(self._pace)

    def _take(self, data: bytes) -> None:
        """Answers what is whole."""
        self._bytes = self._bytes + data if self._bytes else data
        if not self.busy:
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
            self._slow = self.loop.call_later(wait_s, self._go_on)

    def _go_on(self) -> None:
        self._slow = None
        if self._wire is not None and not self.busy:
            self._wire.resume_reading()

    def _answer_ready(self) -> Pending | None:
        """Answers whole requests up to the first that needs acceptance, which is returned."""
        data, position, out, pending, before = self._bytes, 0, b"", None, self.requests
        while len(data) - position >= HEAD.size and not self._dropped:
            transaction, protocol, length, unit, function = HEAD.unpack_from(data, position)
            start, end = position + 7, position + 6 + length
            if protocol or not 2 <= length <= LONGEST_ANSWERED or end > len(data):
                break
            position = end
            self.requests += 1
            if function in {3, 4}:
                out += self._answers.read_part(transaction, unit, function, data[start:end])
            else:
                answer = self._answers.answer(transaction, unit, function, data[start:end])
                if isinstance(answer, Pending):
                    pending = answer
                    break
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
            self._judge_rest(self._bytes)
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
                self._wire.close()
        elif self._half is None and self._wire is not None:
            self._half = self.loop.call_later(self._house.half_frame_s, self._end_half)

    async def _carry_out(self, first: Pending) -> None:
        """Submits a write, then goes on with what waited behind it."""
        pending: Pending | None = first
        try:
            while pending is not None:
                self._send(await self._answers.submit(pending))
                pending = self._answer_ready()
        except BaseException:
            self.abort()
            raise
        finally:
            self.busy = False
        if self._wire is not None and not self._dropped:
            if self._ended:
                self._wire.close()
            elif self._slow is None:
                self._wire.resume_reading()

    def _send(self, data: bytes) -> None:
        if data and self._wire is not None and not self._wire.is_closing():
            self._wire.write(data)

    def _check_idle(self) -> None:
        left = self.last + self._house.idle_s - self.loop.time()
        if left <= 0 and not self.busy:
            self._house.counters.idle += 1
            self.abort()
            return
        self._idle = self.loop.call_later(left if left > 0 else self._house.idle_s, self._check_idle)

    def _end_half(self) -> None:
        self._half = None
        self._house.counters.half_frames += 1
        self.abort()
