"""One command's way upstream, second by second: sending, coalescing, release (C06, C07)."""

from __future__ import annotations

import pytest

from gateway.core.delivery import Action, Target, WriteStatus
from gateway.core.write_status import TRANSITIONS, Event
from tests.core.hand_product import EIGHTY, FORTY, RELEASE, SIXTY, Product, S


@pytest.fixture
def product() -> Product:
    return Product().ready()


def test_first_put_leaves_at_once_and_is_in_force_after_the_read_back(product):
    product.ask(SIXTY)
    product.pump()
    assert product.seen == [S.PENDING, S.SENDING, S.VERIFYING, S.IN_FORCE]
    assert product.puts == [(100.0, SIXTY)]
    product.run(700)
    assert len(product.puts) == 1


def test_nothing_is_sent_before_ready_C07():
    product = Product()
    product.ask(SIXTY)
    product.run(60)
    assert product.puts == []
    assert product.delivery.status is S.BLOCKED
    product.ready().pump()
    assert product.seen[-1] is S.IN_FORCE


def test_value_that_is_upstream_already_is_in_force_without_a_put_W15():
    product = Product()
    product.held = 60.0
    product.ask(SIXTY)
    product.ready().run(5)
    assert product.puts == []
    assert product.delivery.status is S.IN_FORCE


def test_W01_a_storm_of_values_is_one_put_per_two_seconds_and_the_last_wins(product):
    for step in range(100):
        product.ask(Target(float(100 + step)), tighter=step % 2 == 0)
        product.run(0.1)
    product.run(5)
    gaps = [b - a for (a, _), (b, _) in zip(product.puts, product.puts[1:], strict=False)]
    assert min(gaps) >= 2.0 - 1e-9
    assert len(product.puts) <= 7
    assert product.held == 199.0
    assert product.delivery.status is S.IN_FORCE


@pytest.mark.parametrize(("tighter", "leaves_after"), [(True, 2.0), (False, 2.4)])
def test_a_tighter_value_skips_the_coalescing_window_but_not_the_gap(product, tighter, leaves_after):
    product.ask(EIGHTY)
    product.run(1.9)
    product.ask(FORTY, tighter=tighter)
    product.run(3)
    assert product.times == [0.0, leaves_after]


def test_after_a_pause_the_next_value_leaves_at_once(product):
    product.ask(EIGHTY)
    product.run(30)
    product.ask(SIXTY)
    product.run(1)
    assert product.times == [0.0, 30.0]


def test_W02_W03_only_the_newest_of_an_outage_is_sent(product):
    product.ask(EIGHTY)
    product.run(5)
    product.delivery.lost()
    product.note()
    for target in (SIXTY, FORTY, Target(50.0)):
        product.ask(target)
        product.run(5)
    assert product.delivery.status is S.BLOCKED
    product.ready().run(3)
    assert product.sent == [EIGHTY, Target(50.0)]
    assert product.seen[-5:] == [S.BLOCKED, S.PENDING, S.SENDING, S.VERIFYING, S.IN_FORCE]


def test_release_is_sent_verified_and_then_nothing_more_C06(product):
    product.ask(SIXTY)
    product.run(20)
    product.ask(RELEASE)
    product.run(5)
    assert product.sent == [SIXTY, RELEASE]
    assert (product.delivery.status, product.delivery.target) == (S.IDLE, None)
    product.held = 40.0
    product.run(3600)
    assert product.sent == [SIXTY, RELEASE]


def test_release_while_the_put_is_under_way_follows_it(product):
    product.ask(SIXTY)
    assert product.delivery.next_action(product.now) is Action.PUT
    product.ask(RELEASE)
    assert product.delivery.next_action(product.now + 5) is None
    product.held = 60.0
    product.delivery.put_done(product.now, certain=True)
    product.run(10)
    assert product.sent == [RELEASE]
    assert (product.held, product.delivery.status) == (None, S.IDLE)


def test_release_survives_an_outage(product):
    product.ask(SIXTY)
    product.run(5)
    product.delivery.lost()
    product.ask(RELEASE)
    product.run(600)
    product.ready().run(3)
    assert product.sent == [SIXTY, RELEASE]
    assert product.delivery.status is S.IDLE


def test_new_value_while_a_put_is_under_way_is_sent_after_it_and_only_it_counts(product):
    product.ask(SIXTY)
    assert product.delivery.next_action(product.now) is Action.PUT
    product.ask(FORTY, tighter=True)
    assert product.delivery.next_action(product.now + 3) is None
    product.now += 3
    product.delivery.put_done(product.now, certain=True)
    assert product.delivery.status is S.PENDING
    product.run(1)
    assert product.sent == [FORTY]
    assert product.held == 40.0


def test_a_refusal_of_an_old_value_does_not_stop_the_new_one(product):
    product.ask(SIXTY)
    assert product.delivery.next_action(product.now) is Action.PUT
    product.ask(FORTY)
    product.delivery.put_refused(product.now, "400")
    product.run(3)
    assert product.sent == [FORTY]
    assert product.delivery.status is S.IN_FORCE


def test_a_read_that_overlapped_a_put_proves_nothing(product):
    """A poll sent before the PUT shows the old value after it, or the asked value of before."""
    product.held = 60.0
    product.ask(EIGHTY)
    began = product.now
    assert product.delivery.next_action(product.now) is Action.PUT
    product.held = 80.0
    product.delivery.put_done(product.now + 0.5, certain=True)
    product.ask(SIXTY)
    product.delivery.read_back(product.now + 0.6, agrees=True, what="", began=began)
    assert product.delivery.status is S.PENDING
    product.run(5)
    assert product.held == 60.0


def test_a_read_while_a_put_is_under_way_proves_nothing(product):
    product.takes = False
    product.ask(SIXTY)
    product.run(2.9)
    while product.delivery.next_action(product.now) is not Action.PUT:
        product.read()
        product.now += 0.1
    product.delivery.read_back(product.now, agrees=True, what="", began=product.now)
    assert product.delivery.status is S.RETRYING


def test_lost_while_a_put_is_under_way_waits_for_ready_and_reads_first(product):
    product.ask(SIXTY)
    assert product.delivery.next_action(product.now) is Action.PUT
    product.delivery.lost()
    product.delivery.put_done(product.now, certain=False, error="no answer")
    assert product.delivery.status is S.BLOCKED
    product.run(30)
    assert product.puts == []
    product.held = 60.0
    product.ready().run(5)
    assert product.puts == []
    assert product.delivery.status is S.IN_FORCE


def test_C07_a_get_from_before_the_put_landed_is_no_first_read_of_a_new_session(product):
    """It would not be compared, and the value would go out again over what somebody set in between (C09)."""
    product.ask(SIXTY)
    product.ready()
    began = product.now
    assert product.delivery.next_action(product.now) is Action.PUT
    product.delivery.put_done(began + 0.5, certain=True)
    product.delivery.lost()
    product.delivery.ready(began + 0.6, began)
    assert not product.delivery.is_ready
    product.held, product.now = 60.0, began + 1.0
    product.run(5)
    assert product.sent == []
    product.delivery.ready(product.now, product.now - 0.1)
    product.read()
    product.run(5)
    assert product.sent == []
    assert product.delivery.status is S.IN_FORCE


def test_C07_what_was_under_way_when_a_session_began_is_read_before_it_is_sent_again(product):
    product.ask(SIXTY)
    product.ready()
    assert product.delivery.next_action(product.now) is Action.PUT
    product.delivery.lost()
    product.delivery.ready(product.now)
    product.held = 60.0
    product.delivery.put_done(product.now, certain=True)
    product.run(5)
    assert product.sent == []
    assert product.delivery.status is S.IN_FORCE
    product.ask(EIGHTY)
    assert product.delivery.next_action(product.now + 5) is Action.PUT
    product.delivery.lost()
    product.delivery.ready(product.now)
    product.delivery.put_done(product.now, certain=False, error="no answer")
    product.run(5)
    assert product.sent == [EIGHTY], "it had not arrived"


def test_ready_again_is_no_reason_to_send(product):
    product.ask(SIXTY)
    product.run(20)
    for _ in range(5):
        product.delivery.ready(product.now)
        product.run(1)
    assert len(product.puts) == 1


def test_late_read_backs_collapse_into_one(product):
    product.ask(SIXTY)
    assert product.delivery.next_action(product.now) is Action.PUT
    product.delivery.put_done(product.now, certain=True)
    product.now += 60
    actions = []
    while (action := product.delivery.next_action(product.now)) is not None:
        actions.append(action)
    assert actions == [Action.GET]


def test_dry_run_is_shown_and_sends_nothing():
    product = Product().ready()
    product.delivery.pretend()
    product.run(60)
    assert product.delivery.status is S.DRY_RUN
    assert product.puts == []


def test_wake_at_is_when_there_is_something_to_do(product):
    assert product.delivery.wake_at() is None
    product.ask(SIXTY)
    assert product.delivery.wake_at() == 100.0
    assert product.delivery.next_action(100.0) is Action.PUT
    assert product.delivery.wake_at() is None
    product.delivery.put_done(100.5, certain=True)
    assert product.delivery.wake_at() == 100.5
    product.delivery.lost()
    assert product.delivery.wake_at() is None


def test_every_status_can_be_left_and_the_table_names_only_what_exists():
    assert {status for status, _ in TRANSITIONS} == set(WriteStatus)
    assert set(TRANSITIONS.values()) == set(WriteStatus)
    assert {event for _, event in TRANSITIONS} == set(Event)
    into_force = {event for (_, event), to in TRANSITIONS.items() if to is S.IN_FORCE}
    assert into_force == {Event.AGREES}
