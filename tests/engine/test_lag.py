"""How late the event loop is, with a clock that the test turns."""

from __future__ import annotations

import asyncio

import pytest

from gateway.engine.lag import PERIOD_S, LoopLag


class TurnedClock:
    """Each sleep takes as long as the next of `late_s` says beyond its time; then the loop ends."""

    def __init__(self, late_s: list[float]) -> None:
        self.now, self._late_s = 50.0, late_s

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if not self._late_s:
            raise asyncio.CancelledError
        self.now += seconds + self._late_s.pop(0)


async def test_lag_is_what_a_timer_is_late_by_and_an_overrun_is_over_100_ms() -> None:
    clock = TurnedClock([0.0, 0.002, 0.3, 0.09])
    lag = LoopLag(clock, clock.sleep)
    with pytest.raises(asyncio.CancelledError):
        await lag.run()
    assert lag.overruns == 1
    assert (round(lag.last_s, 3), round(lag.worst_s, 3)) == (0.09, 0.3)
    assert lag.histogram.count == 4
    assert round(lag.histogram.total_s, 3) == 0.392


async def test_the_worst_is_that_of_the_last_minute() -> None:
    clock = TurnedClock([0.5] + [0.0] * int(60 / PERIOD_S))
    lag = LoopLag(clock, clock.sleep)
    with pytest.raises(asyncio.CancelledError):
        await lag.run()
    assert lag.worst_s == pytest.approx(0.0, abs=1e-9)
