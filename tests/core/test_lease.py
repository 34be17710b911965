"""What is left of a lease, while running and over a restart (C04, C11)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.lease import SATURATED_S, Lease, Stamp, countdown, elapsed, left_after

SAVED = Stamp("boot 1", 1000.0, 1_800_000_000.0, synchronised=True)


def test_C04_no_lease_never_ends():
    assert Lease().ends() == math.inf
    assert Lease(0.0, 5.0).ends(alive=7.0) == math.inf


@pytest.mark.parametrize(
    ("alive", "ends"), [(None, 160.0), (130.0, 190.0), (90.0, 160.0), (-math.inf, 160.0), (100.0, 160.0)]
)
def test_C04_a_lease_ends_its_length_after_the_last_sign_of_life(alive, ends):
    assert Lease(60.0, 100.0).ends(alive) == ends


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (Stamp("boot 1", 1030.0, 1_800_000_500.0, synchronised=True), 30.0),
        (Stamp("boot 1", 1030.0, 1_700_000_000.0, synchronised=False), 30.0),
        (Stamp("boot 1", 1000.0, 1_800_000_000.0, synchronised=True), 0.0),
        (Stamp("boot 1", 990.0, 1_800_000_000.0, synchronised=True), 0.0),
        (Stamp("boot 2", 20.0, 1_800_000_500.0, synchronised=True), 500.0),
        (Stamp("boot 2", 20.0, 1_799_999_000.0, synchronised=True), 0.0),
        (Stamp("boot 2", 20.0, 1_800_000_500.0, synchronised=False), None),
        (Stamp("", 1030.0, 1_800_000_500.0, synchronised=False), None),
    ],
)
def test_C11_which_clock_tells_how_long_ago_it_was(now, seconds):
    assert elapsed(SAVED, now) == seconds


def test_C11_a_moment_saved_by_a_clock_that_nobody_kept_right_tells_nothing_after_a_boot():
    saved = Stamp("boot 1", 1000.0, 12_345.0, synchronised=False)
    assert elapsed(saved, Stamp("boot 2", 20.0, 1_800_000_500.0, synchronised=True)) is None
    nameless = Stamp("", 1000.0, 12_345.0, synchronised=False)
    assert elapsed(nameless, Stamp("", 1030.0, 12_375.0, synchronised=False)) is None


@pytest.mark.parametrize(
    ("saved", "gone", "left"),
    [(80.0, 30.0, 50.0), (80.0, 90.0, -10.0), (500.0, 10.0, 90.0), (80.0, 0.0, 80.0), (80.0, None, 55.0)],
)
def test_C11_time_that_nobody_measured_never_makes_a_lease_full_again(saved, gone, left):
    assert left_after(100.0, saved, gone) == left
    assert left_after(100.0, 100.0, None) == 75.0


@pytest.mark.parametrize(
    ("left", "shown"),
    [(math.inf, None), (0.0, 0), (-5.0, 0), (0.2, 1), (59.0, 59), (59.1, 60), (65534.0, 65534), (1e6, SATURATED_S)],
)
def test_countdown_as_a_register_holds_it(left, shown):
    assert countdown(left) == shown


@given(st.floats(0, 1e7), st.floats(0, 1e9), st.booleans())
def test_time_never_runs_backwards(boottime, wall, synchronised):
    now = Stamp("boot 2", boottime, wall, synchronised)
    gone = elapsed(SAVED, now)
    assert gone is None or gone >= 0
