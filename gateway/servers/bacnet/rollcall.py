"""What many devices say at once, in an order and at a pace that no socket and no slow network behind it overflows.

Rules of this file: who asks again while its answer is under way gets each answer once; how much waits is bounded,
whoever asks; nothing here waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bacpypes3.pdu import Address, GlobalBroadcast

PEER_BURST, BURST = 16, 64
"""Answers of one pass (10 ms), to one peer and to all: a socket of the usual size holds some 200."""
ANNOUNCE_EVERY = 1
"""Devices of one pass that introduce themselves to everybody; slow networks hear that too."""
MOST_PEERS = 64
"""So many may be in the middle of an answer; others ask again."""


class Answer(NamedTuple):
    """What a device says: its I-Am if `apdu` is empty."""

    device: int
    apdu: bytes = b""


class RollCall:
    """Answers that wait, by peer; `wake` is called when there are some where there were none."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._peers: dict[Address, dict[Answer, None]] = {}
        self._turn: deque[Address] = deque()
        self._fresh: dict[int, None] = {}
        self.refused = 0

    def answer(self, peer: Address, answers: Iterable[Answer]) -> None:
        """Lines up what is said to one peer."""
        waiting = self._peers.get(peer)
        if waiting is None:
            waiting = dict.fromkeys(answers)
            if not waiting:
                return
            if len(self._peers) >= MOST_PEERS:
                self.refused += 1
                return
            self._peers[peer] = waiting
            self._turn.append(peer)
            self._wake()
        else:
            waiting.update(dict.fromkeys(answers))

    def announce(self, devices: Iterable[int]) -> None:
        """Lines up the I-Am of devices to everybody."""
        self._fresh.update(dict.fromkeys(devices))
        self._wake()

    @property
    def waits(self) -> bool:
        """Whether there is more to be said."""
        return bool(self._turn or self._fresh)

    def pump(self) -> Iterator[tuple[Address, Answer]]:
        """What is said now."""
        for _ in range(min(ANNOUNCE_EVERY, len(self._fresh))):
            device = next(iter(self._fresh))
            del self._fresh[device]
            yield GlobalBroadcast(), Answer(device)
        left = BURST
        for _ in range(len(self._turn)):
            if left <= 0:
                return
            peer = self._turn.popleft()
            waiting = self._peers[peer]
            for answer in [answer for answer, _ in zip(waiting, range(min(PEER_BURST, left)), strict=False)]:
                del waiting[answer]
                left -= 1
                yield peer, answer
            if waiting:
                self._turn.append(peer)
            else:
                del self._peers[peer]
