"""What many devices say at once, in an order and at a pace that no socket and no slow network behind it overflows.

Rules of this file: who asks the same again while its answer is under way costs nothing and gets no other one; how much
waits is bounded, whoever asks; nothing here waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bacpypes3.pdu import Address, GlobalBroadcast

PEER_BURST, BURST = 16, 64
"""Answers of one pass (10 ms), to one peer and to all: a socket of the usual size holds some 200."""
ANNOUNCE_EVERY = 1
"""Devices of one pass that introduce themselves to everybody; slow networks hear that too."""
MOST_PEERS = 64
"""So many may be in the middle of an answer; others ask again."""
MOST_QUESTIONS = 64
"""Of one peer while it is being answered."""


class Answer(NamedTuple):
    """What a device says: its I-Am if `apdu` is empty."""

    device: int
    apdu: bytes = b""


@dataclass(eq=False, slots=True)
class Waiting:
    """What one peer is still to be told, and what it asked for that."""

    answers: dict[Answer, None] = field(default_factory=dict)
    asked: set[bytes] = field(default_factory=set)


class RollCall:
    """Answers that wait, by peer; `wake` is called when there are some where there were none."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._peers: dict[Address, Waiting] = {}
        self._turn: deque[Address] = deque()
        self._fresh: dict[int, None] = {}
        self.refused = 0

    def answer(self, peer: Address, question: bytes, answers: Callable[[], Iterable[Answer]]) -> None:
        """Lines up what is said to one peer that asked `question`; `answers` is called if there is room for them."""
        waiting = self._peers.get(peer)
        if waiting is None and len(self._peers) >= MOST_PEERS:
            self.refused += 1
        elif waiting is None:
            found = dict.fromkeys(answers())
            if found:
                self._peers[peer] = Waiting(found, {question})
                self._turn.append(peer)
                self._wake()
        elif question not in waiting.asked and len(waiting.asked) < MOST_QUESTIONS:
            waiting.asked.add(question)
            waiting.answers.update(dict.fromkeys(answers()))

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
            waiting = self._peers[peer].answers
            for answer in [answer for answer, _ in zip(waiting, range(min(PEER_BURST, left)), strict=False)]:
                del waiting[answer]
                left -= 1
                yield peer, answer
            if waiting:
                self._turn.append(peer)
            else:
                del self._peers[peer]
