"""How often a login may be tried: after some failures an address, and a name, must wait, longer each time.

Rules of this file: pure apart from the clock; bounded, however many addresses try; an address that waits is refused
before its password is looked at; a name waits less long than an address, so that nobody can lock a user out for good;
who may log in may not do so without end, for every login is a record of the evidence, which has a size.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from gateway.engine.ports import Clock

FREE_OF_ADDRESS, LONGEST_OF_ADDRESS_S = 5, 300.0
FREE_OF_NAME, LONGEST_OF_NAME_S = 20, 30.0
FORGET_S = 1800.0
MOST = 1000
LOGINS, LOGINS_S = 20, 60.0
"""A user logs in so often in so many seconds."""
NETWORK_BYTES = 8
"""Who has one IPv6 address has all of its /64."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0


class Throttle:
    """Counts failures of login by address and by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _Failures] = OrderedDict()
        self._names: OrderedDict[str, _Failures] = OrderedDict()
        self._begun: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, name: str) -> float:
        """Seconds until this address may try this name again, 0 for now."""
        return max(
            self._left(self._addresses.get(_whose(address)), FREE_OF_ADDRESS, LONGEST_OF_ADDRESS_S),
            self._left(self._names.get(name), FREE_OF_NAME, LONGEST_OF_NAME_S),
        )

    def tries(self, address: str, name: str) -> None:
        """An attempt begins; it counts as a failure until it has succeeded, so that many at once gain nothing."""
        for table, key in ((self._addresses, _whose(address)), (self._names, name)):
            failures = table.setdefault(key, _Failures())
            now = self._clock.monotonic()
            failures.count = 1 if now - failures.last > FORGET_S else failures.count + 1
            failures.last = now
            table.move_to_end(key)
            while len(table) > MOST:
                table.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """A right password: the name is free again, and of the address only this attempt is forgiven.

        Else a user could try another's password without end by logging in between.
        """
        self._names.pop(name, None)
        failures = self._addresses.get(_whose(address))
        if failures is not None:
            failures.count = max(failures.count - 1, 0)

    def begins(self, name: str) -> float:
        """A right password: 0 when this user may begin a session, else in how many seconds."""
        now, times = self._clock.monotonic(), self._begun.setdefault(name, deque(maxlen=LOGINS))
        self._begun.move_to_end(name)
        while len(self._begun) > MOST:
            self._begun.popitem(last=False)
        if len(times) == LOGINS and now - times[0] < LOGINS_S:
            return times[0] + LOGINS_S - now
        times.append(now)
        return 0.0

    def _left(self, failures: _Failures | None, free: int, longest_s: float) -> float:
        if failures is None or failures.count < free:
            return 0.0
        waits = min(2.0 ** min(failures.count - free, 20), longest_s)
        return max(failures.last + waits - self._clock.monotonic(), 0.0)


def _whose(address: str) -> str:
    """What an address is counted as."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped) if found.ipv4_mapped else found.packed[:NETWORK_BYTES].hex()
