"""Local time as the Device object shows it, and what others say the time is (ASHRAE 135 clauses 16.7 and 16.8).

Rules of this file: the gateway's clock is never set from the network; who wanted to, and how far off it was, is shown.
"""

from __future__ import annotations

import calendar
import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.engine.ports import Clock
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.codec import DATE, TIME
from gateway.servers.bacnet.standard import Prop, Unconfirmed
from gateway.servers.bacnet.tags import Malformed, Tags


@dataclass(frozen=True, slots=True)
class TimeSync:
    """What a time master said: who, when (Unix time, ours), and how many seconds its clock is ahead of ours."""

    client: str
    at: float
    ahead_s: float


class Timekeeping:
    """Local_Date, Local_Time and UTC_Offset (`live`) of all devices, and the last time synchronisation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.last: TimeSync | None = None
        self.live: dict[int, Callable[[], bytes]] = {
            Prop.LOCAL_DATE: self._date,
            Prop.LOCAL_TIME: self._time,
            Prop.UTC_OFFSET: lambda: codec.integer(time.timezone // 60),
            Prop.DAYLIGHT_SAVINGS_STATUS: lambda: codec.boolean(self._local.tm_isdst > 0),
        }

    @property
    def _local(self) -> time.struct_time:
        return time.localtime(self._clock.wall())

    def _date(self) -> bytes:
        now = self._local
        return codec.date(now.tm_year, now.tm_mon, now.tm_mday, now.tm_wday + 1)

    def _time(self) -> bytes:
        now = self._local
        return codec.time(now.tm_hour, now.tm_min, now.tm_sec, int(self._clock.wall() % 1 * 100))

    def hear(self, service: int, body: bytes, client: str) -> None:
        """Takes note of a TimeSynchronization or UTCTimeSynchronization; one that names no moment is nothing."""
        try:
            said = _moment(body, utc=service == Unconfirmed.UTC_TIME_SYNCHRONIZATION)
        except (Malformed, ValueError, OverflowError):
            return
        now = self._clock.wall()
        self.last = TimeSync(client, now, said - now)


def date_time(at: float) -> bytes:
    """Unix time as application Date and Time, local, to the hundredth."""
    hundredths = round(at * 100)
    local = time.localtime(hundredths // 100)
    return codec.date(local.tm_year, local.tm_mon, local.tm_mday, local.tm_wday + 1) + codec.time(
        local.tm_hour, local.tm_min, local.tm_sec, hundredths % 100
    )


def _moment(body: bytes, *, utc: bool) -> float:
    """Unix time of a request's date and time.

    Raises:
        Malformed: it is no such request.
        ValueError, OverflowError: some field is a wildcard or no time at all.
    """
    tags = Tags(body)
    day, clock = tags.application(DATE), tags.application(TIME)
    tags.finish()
    if len(day) != 4 or len(clock) != 4:
        raise ValueError
    date = dt.date(1900 + day[0], day[1], day[2])
    at = dt.time(clock[0], clock[1], clock[2])
    fields = (date.year, date.month, date.day, at.hour, at.minute, at.second, 0, 0, -1)
    return (calendar.timegm(fields) if utc else time.mktime(fields)) + min(clock[3], 99) / 100
