"""One command's way upstream, second by second (C06-C09)."""

from __future__ import annotations

import pytest

from gateway.core.delivery import Action, Delivery, Target, WriteStatus
from gateway.core.write_status import TRANSITIONS, Event

S = WriteStatus
SIXTY, EIGHTY, FORTY, RELEASE = Target(60.0), Target(80.0), Target(40.0), Target(None, release=True)


class Product:
    """Drives a Delivery as the engine does; `held` is what the product has, 250 with no limit."""

    def __init__(self) -> None:
        self.delivery = Delivery()
        self.now = 100.0
        self.held: float | None = None
        self.puts: list[tuple[float, Target]] = []
        self.seen: list[WriteStatus] = []
        self.takes = True
        self.outcome = "done"

    def ready(self) -> Product:
        self.delivery.ready(self.now)
        self.read()
        return self

    def ask(self, target: Target, *, tighter: bool = False) -> None:
        self.delivery.ask(target, self.now, tighter=tighter)
        self.note()

    def note(self) -> None:
        if not self.seen or self.seen[-1] is not self.delivery.status:
            self.seen.append(self.delivery.status)

    def read(self) -> None:
        target = self.delivery.target
        if target is None:
            return
        agrees = self.held is None if target.release else self.held == target.raw
        wanted = 250.0 if target.raw is None else float(target.raw)
        self.delivery.read_back(
            self.now,
            agrees=agrees,
            what=f"upstream says {self.held}",
            loosens=self.held is not None and self.held < wanted,
            began=self.now,
        )
        self.note()

    def pump(self) -> None:
        while (action := self.delivery.next_action(self.now)) is not None:
            self.note()
            if action is Action.GET:
                self.read()
            else:
                self.put()
            self.note()

    def put(self) -> None:
        target = self.delivery.target
        assert target is not None
        self.puts.append((self.now, target))
        if self.takes and self.outcome in ("done", "unknown"):
            self.held = None if target.release else float(target.raw)
        match self.outcome:
            case "failed":
                self.delivery.put_failed(self.now, "no connection")
            case "refused":
                self.delivery.put_refused(self.now, "400 'out of range'")
            case other:
                self.delivery.put_done(self.now, certain=other == "done", error="" if other == "done" else "no answer")

    def run(self, seconds: float, *, poll_s: float = 10.0) -> Product:
        """Time passes in tenths; a poll reads every `poll_s`."""
        for tick in range(round(seconds * 10)):
            self.pump()
            if tick % round(poll_s * 10) == round(poll_s * 10) - 1:
                self.read()
            self.now = round(self.now + 0.1, 3)
        self.pump()
        return self

    @property
    def times(self) -> list[float]:
        return [round(at - self.puts[0][0], 1) for at, _ in self.puts]

    @property
    def sent(self) -> list[Target]:
        return [target for _, target in self.puts]


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


def test_ready_again_is_no_reason_to_send(product):
    product.ask(SIXTY)
    product.run(20)
    for _ in range(5):
        product.delivery.ready(product.now)
        product.run(1)
    assert len(product.puts) == 1


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
