"""When a written code fires (C15)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.action import ActionResult, fires
from gateway.core.errors import CommandRejected, Reject


@pytest.mark.parametrize(
    ("held", "code", "running", "outcome"),
    [
        (0, 1, False, True),
        (0, 1, True, Reject.BUSY),
        (1, 1, False, False),
        (1, 1, True, False),
        (1, 2, False, Reject.RANGE),
        (1, 2, True, Reject.BUSY),
        (1, 0, False, False),
        (1, 0, True, False),
        (0, 0, True, False),
    ],
)
def test_C15_only_a_change_from_0_fires(held, code, running, outcome):
    if isinstance(outcome, Reject):
        with pytest.raises(CommandRejected) as refused:
            fires(held, code, running=running)
        assert refused.value.reject is outcome
    else:
        assert fires(held, code, running=running) is outcome


@given(st.lists(st.integers(0, 3)))
def test_C15_as_often_as_it_left_0_and_never_more(codes):
    held, fired, left = 0, 0, 0
    for code in codes:
        try:
            fired += fires(held, code, running=False)
        except CommandRejected:
            continue
        left += held == 0 and code != 0
        held = code
    assert fired == left


def test_the_codes_of_results_are_those_of_the_map():
    assert [(int(result), result.name) for result in ActionResult] == [
        (1, "RUNNING"),
        (2, "DONE"),
        (3, "FAILED"),
        (4, "UNKNOWN"),
        (5, "NEVER_RUN"),
    ]
