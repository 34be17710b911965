"""Values that a product forgets by itself, rare requests, restarts, and jitter, second by second (C08..C10, C12)."""

from __future__ import annotations

import pytest

from gateway.core.delivery import Action, Delivery, Target
from gateway.core.patience import Patience, middle
from gateway.core.term import Term
from tests.core.hand_product import EIGHTY, FORTY, RELEASE, SIXTY, Product, S


def product(**options) -> Product:
    made = Product()
    made.delivery = Delivery(**options)
    return made


def expiring(valid_for_s=600.0) -> Product:
    made = product(valid_for_s=valid_for_s).ready()
    made.ask(SIXTY)
    return made.run(20)


# -- C12 -------------------------------------------------------------------------------------------------------------


def test_C12_renewed_at_half_without_leaving_4():
    made = expiring()
    made.seen.clear()
    made.run(1000)
    assert made.times == [0.0, 300.0, 600.0, 900.0]
    assert made.seen == [S.IN_FORCE]


def test_C12_no_end_no_renewal():
    made = product().ready()
    made.ask(SIXTY)
    made.run(5000)
    assert len(made.puts) == 1
    assert not made.delivery.expired(made.now)


def test_C12_a_release_is_never_renewed():
    made = expiring()
    made.ask(RELEASE)
    made.run(2000)
    assert made.sent == [SIXTY, RELEASE]
    assert made.delivery.status is S.IDLE


@pytest.mark.parametrize("outcome", ["failed", "refused", "unknown"])
def test_C12_a_failed_renewal_is_6_whatever_is_read_and_goes_on(outcome):
    made = expiring()
    made.outcome = outcome
    made.run(290)
    assert made.delivery.status is S.RETRYING
    count = len(made.puts)
    made.run(120)
    assert made.delivery.status is S.RETRYING
    assert len(made.puts) > count
    assert made.held == 60.0
    made.outcome = "done"
    made.run(61)
    assert made.delivery.status is S.IN_FORCE
    again = made.puts[-1][0]
    made.run(320)
    assert made.puts[-1][0] == pytest.approx(again + 300, abs=0.2)


def test_C12_the_new_end_counts_from_when_the_request_left():
    made = expiring()
    made.now = 400.0
    assert made.delivery.next_action(400.0) is Action.PUT
    made.delivery.put_done(409.0, certain=True)
    made.delivery.lost()
    assert not made.delivery.expired(999.9)
    assert made.delivery.expired(1000.0)


def test_C12_expired_only_past_our_end_and_without_a_read_back():
    made = expiring()
    made.delivery.lost()
    assert not made.delivery.expired(699.0)
    assert made.delivery.expired(700.0)
    made.now = 701.0
    made.ready()
    assert made.delivery.status is S.IN_FORCE
    assert not made.delivery.expired(702.0)


def test_C12_what_is_found_upstream_may_end_at_any_moment_and_is_sent_again():
    made = product(valid_for_s=600.0)
    made.held = 60.0
    made.ask(SIXTY)
    made.ready().run(1)
    assert made.sent == [SIXTY]
    assert made.delivery.status is S.IN_FORCE


def test_C12_a_renewal_under_way_when_the_session_ends_is_forgotten():
    made = expiring()
    made.now = 400.0
    assert made.delivery.next_action(400.0) is Action.PUT
    made.delivery.lost()
    made.delivery.put_done(405.0, certain=False, error="no answer")
    assert made.delivery.status is S.BLOCKED
    made.now = 410.0
    made.ready().run(1)
    assert made.delivery.status is S.IN_FORCE
    assert made.times[-1] == 310.0


def test_C12_a_new_value_while_a_renewal_is_under_way_is_what_counts():
    made = expiring()
    made.now = 400.0
    assert made.delivery.next_action(400.0) is Action.PUT
    made.ask(FORTY, tighter=True)
    made.delivery.put_failed(401.0, "busy")
    assert made.delivery.status is S.PENDING
    made.now = 402.0
    made.run(2)
    assert made.sent[-1] == FORTY
    assert made.delivery.status is S.IN_FORCE


def test_C12_what_somebody_tightens_while_a_renewal_fails_is_left_alone():
    made = expiring()
    made.outcome = "failed"
    made.run(290)
    made.held = 40.0
    made.run(15)
    assert made.delivery.status is S.OVERRIDDEN
    count = len(made.puts)
    made.outcome = "done"
    made.run(100)
    assert len(made.puts) == count
    made.held = 60.0
    made.run(11)
    assert made.delivery.status is S.IN_FORCE


# -- C09 -------------------------------------------------------------------------------------------------------------


def test_C09_alarm_sends_nothing_while_the_session_stands():
    made = product(on_conflict="alarm").ready()
    made.ask(SIXTY)
    made.run(20)
    made.held = 200.0
    made.run(3600)
    assert made.sent == [SIXTY]
    assert made.delivery.status is S.OVERRIDDEN
    made.held = 60.0
    made.run(11)
    assert made.delivery.status is S.IN_FORCE


def test_C09_alarm_sends_what_was_lost_with_the_session_and_then_nothing_again():
    made = product(on_conflict="alarm").ready()
    made.ask(SIXTY)
    made.run(20)
    made.delivery.lost()
    made.held = None
    made.ready().run(5)
    assert made.held == 60.0
    made.held = 200.0
    made.run(600)
    assert made.sent == [SIXTY, SIXTY]


def test_C09_alarm_sends_again_what_ended_with_our_own_end_time():
    made = product(on_conflict="alarm", valid_for_s=600.0).ready()
    made.ask(SIXTY)
    made.run(20)
    made.outcome = "failed"
    made.run(600)
    made.held = None
    made.run(5)
    made.outcome = "done"
    made.run(70)
    assert made.held == 60.0


def test_C09_alarm_never_stops_a_first_delivery():
    made = product(on_conflict="alarm").ready()
    made.takes = False
    made.ask(SIXTY)
    made.run(100)
    assert made.times[:3] == [0.0, 3.0, 10.0]
    assert len(made.puts) > 3


def test_C09_a_fight_over_the_session_is_no_faster_than_three_in_ten_minutes():
    made = product().ready()
    made.ask(SIXTY)
    made.run(10)
    for _ in range(60):
        made.delivery.lost()
        made.held = 200.0
        made.ready().run(20)
    times = [at for at, _ in made.puts[1:]]
    for at in times:
        assert sum(at <= other < at + 600 for other in times) <= 3
    assert len(times) >= 6


def test_C09_a_request_that_never_arrived_does_not_count_as_one_of_the_three():
    made = product().ready()
    made.ask(SIXTY)
    made.run(10)
    for _ in range(6):
        made.delivery.lost()
        made.held, made.outcome = None, "failed"
        made.ready().run(0.2)
    made.delivery.lost()
    made.outcome = "done"
    made.ready().run(1)
    assert made.held == 60.0


# -- C10 -------------------------------------------------------------------------------------------------------------


def test_C10_restored_is_blocked_until_read_and_then_sent():
    made = product()
    made.delivery.restore(SIXTY, confirmed=False)
    assert made.delivery.status is S.BLOCKED
    made.run(20)
    assert made.puts == []
    made.ready().run(1)
    assert made.sent == [SIXTY]


@pytest.mark.parametrize(("confirmed", "held", "sends"), [(True, 40.0, False), (False, 40.0, True), (True, 80.0, True)])
def test_C10_confirmed_before_means_that_tighter_upstream_is_somebody_elses(confirmed, held, sends):
    made = product()
    made.held = held
    made.delivery.restore(SIXTY, confirmed=confirmed)
    made.ready().run(100)
    assert bool(made.puts) is sends
    assert made.delivery.status is (S.IN_FORCE if sends else S.OVERRIDDEN)


def test_C10_what_is_foreign_stays_foreign_until_something_new_is_asked():
    made = product()
    made.held = 40.0
    made.delivery.restore(SIXTY, confirmed=False)
    made.delivery.ready(made.now)
    made.delivery.read_back(made.now, agrees=False, what="40", loosens=True, foreign=True)
    assert made.delivery.status is S.OVERRIDDEN
    made.run(1000)
    made.delivery.lost()
    made.ready().run(100)
    assert made.puts == []
    made.ask(EIGHTY)
    made.run(5)
    assert made.sent == [EIGHTY]


def test_C10_alarm_also_sends_what_was_loosened_while_the_gateway_was_down():
    made = product(on_conflict="alarm")
    made.held = 200.0
    made.delivery.restore(SIXTY, confirmed=True)
    made.ready().run(5)
    assert made.held == 60.0


# -- gaps and jitter -------------------------------------------------------------------------------------------------


def test_rare_requests_keep_their_gap_whatever_they_are_for():
    made = product(gap_s=60.0).ready()
    made.takes = False
    made.ask(SIXTY)
    made.run(30)
    made.ask(FORTY, tighter=True)
    made.run(600)
    gaps = [b - a for a, b in zip(made.times, made.times[1:], strict=False)]
    assert min(gaps) >= 60.0
    assert made.sent[:2] == [SIXTY, FORTY]
    made.takes = True
    made.run(700)
    assert made.delivery.status is S.IN_FORCE


def test_rare_requests_after_a_failure_too():
    made = product(gap_s=60.0).ready()
    made.outcome = "failed"
    made.ask(SIXTY)
    made.run(200)
    assert made.times == [0.0, 60.0, 120.0, 180.0]
    assert made.delivery.wake_at() == made.puts[-1][0] + 60.0


def test_back_off_is_jittered_and_slow_repeats_stay_within_1_to_10_minutes():
    high, low = Patience(lambda _low, most: most), Patience(lambda least, _high: least)
    assert [high.retry_s() for _ in range(8)] == [1.25, 2.5, 5.0, 10.0, 20.0, 40.0, 75.0, 75.0]
    assert [low.retry_s() for _ in range(2)] == [0.75, 1.5]
    assert (low.slow_due(0.0), high.slow_due(0.0)) == (60.0, 75.0)
    for _ in range(10):
        low.repeated()
        high.repeated()
    assert (low.slow_due(100.0), high.slow_due(100.0)) == (550.0, 700.0)


def test_patience_forgets_failures_but_not_reassertions():
    made = Patience(middle)
    for at in (0.0, 10.0, 20.0):
        assert made.reassert_due(at) == at
        made.reasserted(at)
    assert made.reassert_due(30.0) == 600.0
    assert made.reassert_due(700.0) == 700.0
    made.retry_s()
    made.repeated()
    made.forget()
    assert made.reassert_due(30.0) == 600.0
    assert (made.retry_s(), made.slow_due(0.0)) == (1.0, 60.0)
    made.reasserted(605.0)
    assert made.reassert_due(606.0) == 610.0
    made.arrived()
    assert made.retry_s() == 1.0


def test_a_target_is_a_value_or_a_release():
    assert Target(60.0) != RELEASE
    assert not SIXTY.release


# -- small promises --------------------------------------------------------------------------------------------------


def test_C08_reads_back_at_once_and_after_1_3_and_10_s():
    """A product that takes a second to apply is in force after a second, not after three."""
    made = product().ready()
    made.takes = False
    made.ask(SIXTY)
    made.run(0.5)
    made.held = 60.0
    made.run(0.6)
    assert made.delivery.status is S.IN_FORCE
    made = product().ready()
    made.ask(SIXTY)
    assert made.delivery.next_action(made.now) is Action.PUT
    made.delivery.put_done(made.now, certain=True)
    ticks = [tick / 10 for tick in range(200)]
    asked = [at for at in ticks if made.delivery.next_action(made.now + at) is Action.GET]
    assert asked == [0.0, 1.0, 3.0, 10.0, 15.0]


def test_C08_a_read_back_that_comes_late_repeats_as_well():
    made = product().ready()
    made.ask(SIXTY)
    assert made.delivery.next_action(100.0) is Action.PUT
    made.delivery.put_done(100.0, certain=True)
    made.delivery.read_back(104.7, agrees=False, what="250", began=104.6)
    assert made.delivery.next_action(104.8) is Action.GET
    made.delivery.read_back(104.9, agrees=False, what="250", began=104.85)
    assert made.delivery.next_action(104.9) is Action.PUT


def test_C09_what_was_confirmed_and_is_ignored_now_is_sent_three_times_in_ten_minutes():
    made = product().ready()
    made.ask(SIXTY)
    made.run(20)
    made.held, made.takes = 200.0, False
    made.run(7200)
    times = [at for at, _ in made.puts[1:]]
    for at in times:
        assert sum(at <= other < at + 600 for other in times) <= 3
    assert len(times) >= 10


def test_C12_alarm_is_not_excused_before_our_end():
    made = product(on_conflict="alarm", valid_for_s=600.0).ready()
    made.ask(SIXTY)
    made.run(20)
    made.held = 200.0
    made.run(250)
    assert made.sent == [SIXTY]
    assert made.delivery.status is S.OVERRIDDEN


def test_C12_nothing_expires_after_a_release_or_before_anything_was_sent():
    made = expiring()
    assert made.delivery.expired(5000.0)
    made.ask(RELEASE)
    made.run(5)
    assert not made.delivery.expired(5000.0)
    assert not Delivery(valid_for_s=600.0).expired(5000.0)


def test_an_equal_target_is_a_refresh_and_a_value_is_not_tighter_unless_said():
    made = product().ready()
    made.ask(SIXTY)
    made.run(1.9)
    made.ask(Target(60.0))
    assert made.delivery.status is S.IN_FORCE
    made.delivery.ask(FORTY, made.now)
    made.run(3)
    assert made.times == [0.0, 2.4]


def test_slow_repeats_double_from_1_to_10_minutes():
    made, waits = Patience(middle), []
    for _ in range(6):
        waits.append(made.slow_due(0.0))
        made.repeated()
    assert waits == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]


def test_nothing_to_wake_for_while_a_request_is_under_way_or_nothing_may_be_sent():
    made = product().ready()
    made.takes = False
    made.ask(SIXTY)
    made.run(3.05)
    assert made.delivery.status is S.RETRYING
    made.delivery.put_failed(made.now, "no connection")
    made.ask(FORTY)
    made.delivery.lost()
    assert made.delivery.wake_at() is None
    assert made.delivery.next_action(made.now + 100) is None


def test_C12_half_of_an_odd_time_is_not_rounded_and_the_end_itself_is_past():
    term = Term(601.0)
    assert not term.is_unknown(1e9)
    term.begin(100.0)
    assert (term.renew_at, term.is_over(700.9), term.is_over(701.0)) == (400.5, False, True)
    term.agreed(701.0)
    assert not term.is_unknown(800.0)
    assert (middle(0.75, 1.25), middle(1.0, 2.0)) == (1.0, 1.5)
