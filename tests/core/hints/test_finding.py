"""How long a hint stands, and when something happened often enough."""

from __future__ import annotations

from gateway.core.hints import HINTS, Finding, Hints, Often
from gateway.core.hints.finding import CLEAR_S


def test_a_hint_stands_while_its_cause_is_seen_and_goes_after_it() -> None:
    hints = Hints()
    assert hints.take(Finding("coils", "first"), 0.0)
    assert not hints.take(Finding("coils", "second"), CLEAR_S - 1)
    assert hints.expire(2 * CLEAR_S - 2) == []
    assert (hints.standing["coils"].text, hints.standing["coils"].times) == ("second", 2)
    assert hints.expire(2 * CLEAR_S - 1) == ["coils"]
    assert hints.standing == {}


def test_often_means_so_many_within_the_window_for_each_thing() -> None:
    often = Often(3, 10.0, most=2)
    assert [often.again("a", at) for at in (0.0, 5.0, 10.0, 25.0, 26.0, 27.0)] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]
    assert not often.again("b", 27.0)
    assert not often.again("c", 27.0)  # forgets "a"
    assert not often.again("a", 28.0)


def test_every_hint_has_a_meaning_in_words() -> None:
    assert all(text and not text.endswith(".") for text in HINTS.values())
