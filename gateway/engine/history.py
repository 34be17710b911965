"""What the past of points is, for whoever keeps it (`Archive`) and whoever reads it (`History`).

A page's chart is `await history.read("evce/zone/Zone B/current", since, until, 500)`: records oldest first, those of
the last seconds included, None as value wherever there was no usable one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.core.trend import Recorded, TrendSpec
from gateway.core.value import Quality, Value


@dataclass(slots=True, eq=False)
class Log:
    """The history of one point as it stands: records `first` to `last`, none while `last` < `first`.

    `key` outlives names and restarts. `gap`: values were missed since `last`. `shown` is the newest value and quality
    that an on-change trend recorded.
    """

    key: str
    index: int
    spec: TrendSpec
    is_bool: bool = False
    first: int = 1
    last: int = 0
    enabled: bool = True
    gap: bool = False
    shown: tuple[Value | None, Quality] | None = None

    @property
    def count(self) -> int:
        """How many records there are."""
        return self.last - self.first + 1


class Held(NamedTuple):
    """What an archive has of one log."""

    first: int
    last: int
    enabled: bool


class Archive(Protocol):
    """Where records are kept, by the key of their log; disk work never happens in the caller's turn of the loop."""

    async def open(self) -> Mapping[str, Held] | None:
        """What the last run left; None while the disk does not let it be used (then call again)."""

    def append(self, key: str, record: Recorded, first: int) -> bool:
        """Takes a record and forgets those before `first`; False: there is no room, for the disk took none so long."""

    def switch(self, key: str, *, enabled: bool) -> None:
        """Remembers whether the log records."""

    def save(self) -> None:
        """Begins to write what waits, unless that is under way."""

    async def close(self) -> None:
        """Writes what waits, for at most 2 s."""

    async def records(self, key: str, first: int, last: int) -> list[Recorded]:
        """The records `first` to `last`, oldest first, those that wait to be written included."""

    async def seek(self, key: str, first: int, at: float, *, newer: bool) -> int | None:
        """Number of the first record after the time `at`, or (not `newer`) of the last before it, from `first` on."""

    async def window(self, key: str, first: int, since: float, until: float, limit: int) -> list[Recorded]:
        """The newest `limit` values and gaps of a time, oldest first, led by the one that held when it began."""


class History(Protocol):
    """The histories of all points that have a trend."""

    def log(self, index: int) -> Log | None:
        """The log of a point of the table, None if it has no trend."""

    def logs(self) -> Sequence[Log]:
        """All logs."""

    def switch(self, log: Log, *, enabled: bool, by: str) -> None:
        """Stops or starts recording; `by` says who wants that."""

    def purge(self, log: Log, *, by: str) -> None:
        """Forgets every record."""

    async def records(self, log: Log, first: int, last: int) -> list[Recorded]:
        """The records with these sequence numbers (both included) that there are, oldest first."""

    async def seek(self, log: Log, at: float, *, newer: bool) -> int | None:
        """Sequence number of the oldest record after the Unix time `at`, or (not `newer`) of the newest before it."""

    async def read(self, point: int | str, since: float, until: float, limit: int) -> list[Recorded]:
        """Values of a point (index, or full name) from `since` to `until` (Unix time, seconds), oldest first.

        The newest `limit` of them; the first may be from before `since`: the one that held then. A value is None where
        it was not usable and where recording was interrupted. Empty for a point without a trend.
        """
