"""Whatever happens in whatever order: the promises of the command path (C06-C09), as a state machine."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.core.delivery import Action, Delivery, Target, WriteStatus
from gateway.core.priority import Origin, PriorityArray, Slot

S = WriteStatus
LOOSE = 250.0
AMPS = st.sampled_from([20.0, 40.0, 60.0, 80.0])
SLOT = st.sampled_from([8, 10, 16])


class CommandPath(RuleBasedStateMachine):
    """A priority array, a Delivery, and a product with an operator, a network and a session."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.slots = PriorityArray()
        self.delivery = Delivery()
        self.upstream = LOOSE
        self.session = False
        self.flight: tuple[Target, float] | None = None
        self.slow_read: tuple[float, float] | None = None
        self.refused: Target | None = None
        self.operator_holds: float | None = None

    def aim(self) -> None:
        value, old = self.slots.value, self.delivery.target
        if value is not None:
            target = Target(value)
        elif old is not None:
            target = Target(None, release=True)
        else:
            return
        if target != old:
            self.refused = self.operator_holds = None
        before = self.delivery.status
        tighter = value is not None and old is not None and old.raw is not None and value < old.raw
        self.delivery.ask(target, self.now, tighter=tighter)
        assert self.delivery.status is before or self.delivery.status is not S.IN_FORCE

    def compare(self, upstream: float, began: float) -> None:
        target = self.delivery.target
        if target is None:
            return
        wanted = LOOSE if target.raw is None else float(target.raw)
        before = self.delivery.status
        agrees = upstream == wanted
        self.delivery.read_back(self.now, agrees=agrees, what=str(upstream), loosens=upstream < wanted, began=began)
        if self.delivery.status is S.IN_FORCE and before is not S.IN_FORCE:
            assert agrees
        if not agrees:
            assert self.delivery.status is not S.IN_FORCE or self.flight is not None or began < self.now

    def pump(self) -> None:
        for _ in range(20):
            action = self.delivery.next_action(self.now)
            if action is None:
                return
            assert self.session, "something was sent before ready"
            if action is Action.GET:
                self.compare(self.upstream, self.now)
                continue
            assert self.flight is None, "two PUTs at once"
            target = self.delivery.target
            assert target is not None
            assert target.raw == self.slots.value, "not the winner was sent"
            assert target != self.refused, "a refused value was repeated"
            assert self.operator_holds is None, "an operator's tighter limit was loosened without a new command"
            self.flight = (target, self.now)
        pytest.fail("next_action never ends")

    # -- what may happen -----------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        wake = self.delivery.wake_at()
        if wake is not None and self.now < wake < self.now + seconds:
            self.now = wake
            self.pump()
        self.now += seconds
        self.pump()

    @rule(slot=SLOT, amps=AMPS)
    def ask(self, slot: int, amps: float) -> None:
        self.slots.put(slot, Slot(amps, Origin("modbus"), self.now))
        self.aim()
        self.pump()

    @rule(slot=SLOT)
    def release(self, slot: int) -> None:
        self.slots.clear(slot)
        self.aim()
        self.pump()

    @precondition(lambda self: self.flight is not None)
    @rule(outcome=st.sampled_from(["done", "ignored", "unknown, done", "unknown, not done", "failed", "refused"]))
    def put_ends(self, outcome: str) -> None:
        assert self.flight is not None
        target, _ = self.flight
        self.flight = None
        if outcome in ("done", "unknown, done"):
            self.upstream = LOOSE if target.raw is None else float(target.raw)
        current = target == self.delivery.target and self.delivery.status in (S.SENDING, S.RETRYING, S.OVERRIDDEN)
        match outcome:
            case "failed":
                self.delivery.put_failed(self.now, "no connection")
            case "refused":
                self.delivery.put_refused(self.now, "400")
                if current:
                    self.refused = target
                    assert self.delivery.status is S.REJECTED
            case _:
                self.delivery.put_done(self.now, certain=outcome in ("done", "ignored"))
        assert self.delivery.status is not S.IN_FORCE
        self.pump()

    @precondition(lambda self: not self.session)
    @rule()
    def session_begins(self) -> None:
        self.session = True
        self.refused = None
        self.delivery.ready(self.now)
        self.compare(self.upstream, self.now)
        self.pump()

    @precondition(lambda self: self.session)
    @rule()
    def session_ends(self) -> None:
        self.session = False
        self.delivery.lost()
        assert self.delivery.next_action(self.now + 3600) is None

    @rule()
    def poll(self) -> None:
        if self.session:
            self.compare(self.upstream, self.now)
            self.pump()

    @rule()
    def slow_poll_begins(self) -> None:
        if self.session:
            self.slow_read = (self.now, self.upstream)

    @rule()
    def slow_poll_ends(self) -> None:
        if self.slow_read is not None and self.session:
            began, value = self.slow_read
            if began >= self.now - 10 and self.operator_holds is None:
                self.compare(value, began)
            self.slow_read = None
            self.pump()

    @precondition(lambda self: self.flight is None)
    @rule(amps=st.sampled_from([10.0, 100.0, LOOSE]))
    def operator_sets(self, amps: float) -> None:
        self.upstream = amps
        self.slow_read = None
        target = self.delivery.target
        self.operator_holds = None
        if self.session and target is not None and target.raw is not None:
            self.compare(self.upstream, self.now)
            if amps < float(target.raw) and self.delivery.confirmed:
                self.operator_holds = amps
        self.pump()

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def in_force_was_proven(self) -> None:
        if self.delivery.status is S.IN_FORCE:
            assert self.delivery.confirmed
            assert self.delivery.error == ""

    @invariant()
    def wakes_for_everything_that_is_due(self) -> None:
        if self.flight is None and self.delivery.wake_at() is None:
            assert self.delivery.status not in (S.PENDING, S.SENDING) or self.session is False

    def teardown(self) -> None:
        """Given a cooperative product and a new value, everything ends in force, soon."""
        if self.flight is not None:
            self.put_ends("done")
        if not self.session:
            self.session_begins()
        if self.flight is not None:
            self.put_ends("done")
        self.operator_holds = None
        self.slots.put(1, Slot(33.0, Origin("cli"), self.now))
        self.aim()
        for _ in range(40):
            self.now += 0.1
            self.pump()
            if self.flight is not None:
                self.put_ends("done")
        assert self.delivery.status is S.IN_FORCE
        assert self.upstream == 33.0
        for slot in (1, 8, 10, 16):
            self.slots.clear(slot)
        self.aim()
        for _ in range(40):
            self.now += 0.1
            self.pump()
            if self.flight is not None:
                self.put_ends("done")
        assert (self.delivery.status, self.upstream) == (S.IDLE, LOOSE)


CommandPath.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestCommandPath = CommandPath.TestCase
