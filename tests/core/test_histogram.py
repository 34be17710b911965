"""Durations by upper bound."""

from __future__ import annotations

from gateway.core.histogram import Histogram


def test_a_duration_counts_for_every_bound_it_does_not_exceed() -> None:
    found = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        found.observe(seconds)
    assert found.cumulative() == [(0.1, 2), (1.0, 3)]
    assert (found.count, round(found.total_s, 2)) == (4, 3.65)
