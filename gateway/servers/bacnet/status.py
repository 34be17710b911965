"""Counters and recent peers for `status`; bounded, whoever sends what."""

from __future__ import annotations

import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_PEERS = 256
LOG_EVERY_S = 60.0
"""Between two log lines about the same thing."""
UNASKED = 0x100
"""Added to the number of an unconfirmed service, which is no confirmed one's."""


class Sparing:
    """A logger that peers cannot make write without end: so many lines a minute, then one that counts the others."""

    def __init__(self, log: logging.Logger, lines: int = 10) -> None:
        self._log = log
        self._lines = lines
        self._left = lines
        self._untold = 0
        self._fill_at = -math.inf

    def warning(self, now: float, text: str, *arguments: object) -> None:
        """Writes a line, if there is room for one."""
        if now >= self._fill_at:
            if self._untold:
                self._log.warning("bacnet: %d more lines of this kind were not written", self._untold)
            self._left, self._untold, self._fill_at = self._lines, 0, now + LOG_EVERY_S
        if self._left > 0:
            self._left -= 1
            self._log.warning(text, *arguments)
        else:
            self._untold += 1


@dataclass(slots=True)
class Client:
    """One peer by IP address: requests since it was first seen, and when the last one came (loop time, seconds).

    `services` counts by service, with UNASKED for the unconfirmed ones that are searches; `refusals` counts answers by
    PDU type: Error, Reject, Abort.
    """

    address: str
    requests: int
    last_seen: float
    services: Counter[int] = field(default_factory=Counter)
    refusals: Counter[int] = field(default_factory=Counter)


class Traffic:
    """What came in: `requests` understood, `errors` answered with Error, Reject or Abort, `writes` accepted.

    `dropped` counts datagrams that got no answer: malformed below the application layer, or too many at once.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.writes = 0
        self.dropped = 0
        self._clients: OrderedDict[str, Client] = OrderedDict()
        self.on_network: Callable[[str, int], None] = lambda _host, _network: None
        """Told who asks for which network number (DNET)."""

    def seen(self, address: str, now: float, service: int) -> None:
        """Counts one request of a peer; the longest silent one makes room for a new one."""
        self.requests += 1
        client = self._clients.get(address) or self._meet(address, now)
        client.requests += 1
        client.services[service] += 1
        client.last_seen = now
        self._clients.move_to_end(address)

    def searched(self, address: str, now: float, service: int) -> None:
        """Counts a Who-Is or Who-Has, which is no request to us alone."""
        client = self._clients.get(address) or self._meet(address, now)
        client.services[UNASKED | service] += 1

    def refused(self, address: str, kind: int) -> None:
        """Counts a peer's request that was answered with an Error, Reject or Abort."""
        client = self._clients.get(address)
        if client is not None:
            client.refusals[kind] += 1

    def _meet(self, address: str, now: float) -> Client:
        if len(self._clients) >= MOST_PEERS:
            self._clients.popitem(last=False)
        client = self._clients[address] = Client(address, 0, now)
        return client

    def answered(self, apdu: bytes) -> bytes:
        """Counts an answer by its type and passes it on."""
        if apdu[0] >> 4 in (5, 6, 7):
            self.errors += 1
        return apdu

    def wrote(self) -> None:
        """Counts an accepted write."""
        self.writes += 1

    @property
    def clients(self) -> list[Client]:
        """The recent peers, the newest first."""
        return list(reversed(self._clients.values()))
