"""What a product may do with a command, second by second (C08, C09)."""

from __future__ import annotations

import pytest

from gateway.core.delivery import Action
from tests.core.hand_product import EIGHTY, SIXTY, Product, S


@pytest.fixture
def product() -> Product:
    return Product().ready()


def test_W04_ignored_put_is_repeated_at_3_and_10_s_then_overridden_then_slowly_for_ever(product):
    product.takes = False
    product.ask(SIXTY)
    product.run(14.9)
    assert product.times == [0.0, 3.0, 10.0]
    assert product.seen == [S.PENDING, S.SENDING, S.VERIFYING, S.RETRYING]
    product.run(0.2)
    assert product.delivery.status is S.OVERRIDDEN
    assert product.delivery.error == "upstream says None"
    product.run(7200)
    gaps = [b - a for a, b in zip(product.times[2:], product.times[3:], strict=False)]
    assert gaps[0] == pytest.approx(65, abs=1)
    assert all(60 <= gap <= 601 for gap in gaps)
    assert gaps[-1] == pytest.approx(600, abs=1)
    assert S.IN_FORCE not in product.seen
    assert product.seen[-1] is S.OVERRIDDEN
    product.takes = True
    product.run(601)
    assert product.delivery.status is S.IN_FORCE


def test_W05_unknown_end_that_was_applied_needs_no_second_put(product):
    product.outcome = "unknown"
    product.ask(SIXTY)
    product.run(60)
    assert product.sent == [SIXTY]
    assert product.delivery.status is S.IN_FORCE
    assert product.delivery.error == ""


def test_unknown_end_that_was_not_applied_is_repeated_after_reading(product):
    product.outcome, product.takes = "unknown", False
    product.ask(SIXTY)
    product.run(2.9)
    assert product.times == [0.0]
    product.takes = True
    product.run(1)
    assert product.times == [0.0, 3.0]
    assert product.delivery.status is S.IN_FORCE


def test_W06_refused_value_is_never_repeated_by_itself_or_by_a_refresh(product):
    product.outcome = "refused"
    product.ask(SIXTY)
    product.run(3600)
    product.ask(SIXTY)
    product.run(3600)
    assert product.sent == [SIXTY]
    assert (product.delivery.status, product.delivery.error) == (S.REJECTED, "400 'out of range'")
    product.outcome = "done"
    product.ask(EIGHTY)
    product.run(1)
    assert product.delivery.status is S.IN_FORCE


def test_refused_value_is_tried_again_in_a_new_session(product):
    product.outcome = "refused"
    product.ask(SIXTY)
    product.run(10)
    product.delivery.lost()
    assert product.delivery.status is S.REJECTED
    product.outcome = "done"
    product.ready().run(1)
    assert product.sent == [SIXTY, SIXTY]
    assert product.delivery.status is S.IN_FORCE


def test_refused_value_that_somebody_sets_upstream_is_in_force(product):
    product.outcome = "refused"
    product.ask(SIXTY)
    product.run(1)
    product.held = 60.0
    product.run(11)
    assert product.delivery.status is S.IN_FORCE


def test_failed_put_is_tried_with_back_off_1_to_60_s(product):
    product.outcome = "failed"
    product.ask(SIXTY)
    product.run(300)
    assert product.times == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0, 243.0]
    assert (product.delivery.status, product.delivery.error) == (S.RETRYING, "no connection")
    product.outcome = "done"
    product.run(61)
    assert product.delivery.status is S.IN_FORCE


def test_U34_a_busy_product_says_when_to_come_back(product):
    product.ask(SIXTY)
    assert product.delivery.next_action(100.0) is Action.PUT
    product.delivery.put_failed(100.0, "429", wait_s=45.0)
    product.run(100)
    assert [at for at, _ in product.puts] == [145.0]


def test_W19_operator_tightens_and_is_left_alone_with_9(product):
    product.ask(SIXTY)
    product.run(20)
    product.held = 40.0
    product.run(30)
    assert product.delivery.status is S.OVERRIDDEN
    assert product.delivery.error == "upstream says 40.0"
    for _ in range(60):
        product.ask(SIXTY)
        product.run(60)
    assert product.sent == [SIXTY]
    assert product.held == 40.0
    product.held = 60.0
    product.run(11)
    assert product.delivery.status is S.IN_FORCE


def test_W19_operator_tightening_survives_a_new_session(product):
    product.ask(SIXTY)
    product.run(20)
    product.held = 40.0
    product.delivery.lost()
    product.ready().run(300)
    assert product.sent == [SIXTY]
    assert product.delivery.status is S.OVERRIDDEN


def test_W19_operator_loosens_after_15_s_9_and_it_is_set_again(product):
    product.ask(SIXTY)
    product.run(20)
    product.seen.clear()
    product.held = 200.0
    product.run(30)
    assert product.held == 60.0
    assert product.seen == [S.VERIFYING, S.OVERRIDDEN, S.IN_FORCE]
    changed_seen_at, again_at = 130.0, product.puts[1][0]
    assert again_at - changed_seen_at == pytest.approx(15, abs=0.2)


def test_W19_loosened_while_the_session_was_lost_is_set_again_at_once(product):
    product.ask(SIXTY)
    product.run(20)
    product.delivery.lost()
    product.held = None
    product.ready().run(1)
    assert product.held == 60.0


def test_C09_at_most_three_times_in_any_ten_minutes_and_never_given_up(product):
    product.ask(SIXTY)
    product.run(10)
    for _ in range(240):
        if product.held == 60.0:
            product.held = 200.0
        product.run(15)
    times = [at for at, _ in product.puts[1:]]
    for at in times:
        assert sum(at <= other < at + 600 for other in times) <= 3
    assert len(times) >= 12
    product.run(700)
    assert product.held == 60.0


def test_operator_tightens_then_loosens_past_the_target_it_is_set_again(product):
    product.ask(SIXTY)
    product.run(20)
    product.held = 40.0
    product.run(40)
    product.held = 100.0
    product.run(15)
    assert product.held == 60.0
    assert product.delivery.status is S.IN_FORCE


def test_a_new_value_leaves_9_at_once_C08(product):
    product.ask(SIXTY)
    product.run(20)
    product.held = 40.0
    product.run(40)
    product.ask(EIGHTY)
    product.run(1)
    assert product.held == 80.0
    assert product.delivery.status is S.IN_FORCE


def test_a_glitch_of_one_read_is_no_conflict(product):
    product.ask(SIXTY)
    product.run(20)
    product.held = 200.0
    product.read()
    assert product.delivery.status is S.VERIFYING
    product.held = 60.0
    product.run(2)
    assert product.delivery.status is S.IN_FORCE
    assert len(product.puts) == 1
