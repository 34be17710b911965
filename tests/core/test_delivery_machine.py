"""Whatever happens in whatever order: the promises of the command path (C03-C12), as a state machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.core.delivery import Action, Delivery, Target, WriteStatus
from gateway.core.lease import GRACE_S, Lease, left_after
from gateway.core.priority import Origin, PriorityArray, Slot

S = WriteStatus
LOOSE = 250.0
AMPS = st.sampled_from([20.0, 40.0, 60.0, 80.0])
SLOT = st.sampled_from([8, 10, 16])
BEATING = 8
"""The slot whose writer lives by its heartbeat alone."""
LEASE_S = 60.0
SAFE = 16.0
OUTCOMES = ["done", "ignored", "unknown, done", "unknown, not done", "failed", "refused"]
LOSS = {8: "hold", 10: "value", 16: "release"}


class CommandPath(RuleBasedStateMachine):
    """A priority array, a Delivery, and a product with an operator, a network and a session."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.slots = PriorityArray()
        self.policy = "reassert"
        self.delivery = Delivery()
        self.alive = -1e9
        self.verified: Target | None = None
        self.release_due = False
        self.known: set[float] = set()
        self.looked = False
        self.upstream = LOOSE
        self.session = False
        self.flight: tuple[Target, float] | None = None
        self.slow_read: tuple[float, float] | None = None
        self.refused: Target | None = None
        self.operator_holds: float | None = None

    def aim(self) -> None:
        value, old = self.slots.value, self.delivery.target
        self.release_due = value is None and (self.release_due or old is not None)
        if value is not None:
            target = Target(value)
        elif self.release_due:
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
        foreign = bool(self.known) and upstream < min(self.known)
        self.delivery.read_back(
            self.now, agrees=agrees, what=str(upstream), loosens=upstream < wanted, foreign=foreign, began=began
        )
        if foreign and upstream < wanted and began == self.now and self.flight is None:
            self.operator_holds = upstream
        if self.delivery.status is S.IN_FORCE and before is not S.IN_FORCE:
            assert agrees
        if self.delivery.status is S.IN_FORCE:
            self.verified = self.delivery.target
        if self.delivery.target is None:
            assert target.release
            assert agrees
            self.release_due, self.verified, self.known = False, None, set()
        if not agrees:
            assert self.delivery.status is not S.IN_FORCE or self.flight is not None or began < self.now

    def pump(self) -> None:
        for _ in range(20):
            action = self.delivery.next_action(self.now)
            if action is None:
                return
            assert self.session, "something was sent before ready"
            assert self.looked, "something was sent before a GET of this session"
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
        held = self.slots[slot]
        if slot == BEATING and (
            self.now - self.alive > LEASE_S or (held and held.failsafe and held.since > self.alive)
        ):
            return  # refused: its writer owes a heartbeat (C05)
        before = self.slots.value
        self.slots.put(slot, Slot(amps, Origin("modbus"), self.now, self.lease(slot)))
        if self.slots.value != before:
            self.known = set()
        self.aim()
        self.pump()

    def lease(self, slot: int) -> Lease:
        return Lease(LEASE_S, self.alive if slot == BEATING else self.now)

    @initialize(policy=st.sampled_from(["reassert", "alarm", "adopt"]), valid_for_s=st.sampled_from([None, 600.0]))
    def begin(self, policy: str, valid_for_s: float | None) -> None:
        self.policy, self.valid_for_s = policy, valid_for_s
        self.delivery = Delivery(on_conflict=policy, valid_for_s=valid_for_s)

    @rule()
    def heartbeat(self) -> None:
        before = self.slots.ruling
        self.alive = self.now
        assert self.slots.ruling is before

    @rule()
    def tick(self) -> None:
        """What a lease's end does to its slot (C05)."""
        moved = False
        for number, slot in self.slots.occupied:
            if slot.failsafe or slot.lease.ends(self.alive if number == BEATING else None) > self.now:
                continue
            self.lapse(number, slot)
            moved = True
        if moved:
            self.aim()
            self.pump()

    def lapse(self, number: int, slot: Slot) -> None:
        match LOSS[number]:
            case "hold":
                self.slots.put(number, replace(slot, failsafe=True, since=self.now))
            case "value":
                self.slots.put(number, replace(slot, value=SAFE, failsafe=True, since=self.now))
            case _:
                self.slots.lapse(number, replace(slot, failsafe=True, since=self.now))

    @rule(down_s=st.sampled_from([0.0, 5.0, 50.0, 5000.0]), clock=st.booleans(), applied=st.booleans())
    def crash_and_restart(self, down_s: float, clock: bool, applied: bool) -> None:
        """`kill -9`: what was accepted is on the disk, what was under way may have arrived or not (C10, C11, C16)."""
        winner, value = self.slots.winner, self.slots.value
        if self.flight is not None and applied:
            target = self.flight[0]
            self.upstream = LOOSE if target.raw is None else float(target.raw)
            self.known.add(self.upstream)
        self.flight = self.slow_read = self.refused = self.operator_holds = None
        self.session = self.looked = False
        self.delivery = Delivery(on_conflict=self.policy, valid_for_s=self.valid_for_s)
        died_at, self.now = self.now, self.now + down_s
        self.alive = -1e9
        for number, slot in self.slots.occupied:
            left = left_after(LEASE_S, slot.lease.ends() - died_at, down_s if clock else None)
            assert left <= slot.lease.ends() - died_at, "a restart lengthened a lease"
            graced = left <= 0
            renewed = self.now + (min(LEASE_S, GRACE_S) if graced else left) - LEASE_S
            self.slots.put(number, replace(slot, lease=Lease(LEASE_S, renewed, graced=graced)))
        assert (self.slots.winner, self.slots.value) == (winner, value), "an accepted command was lost"
        self.known |= {float(slot.value) for _, slot in self.slots.occupied}
        if self.verified is not None and self.verified.raw is not None:
            self.known.add(float(self.verified.raw))
        if value is not None:
            self.delivery.restore(Target(value), confirmed=self.verified == Target(value))
        elif self.release_due:
            self.delivery.restore(Target(None, release=True), confirmed=False)

    @rule(slot=SLOT)
    def release(self, slot: int) -> None:
        self.slots.clear(slot)
        self.aim()
        self.pump()

    @precondition(lambda self: self.flight is not None)
    @rule(outcome=st.sampled_from([*OUTCOMES, "done", "session lost", "unknown id"]))
    def put_ends(self, outcome: str) -> None:
        assert self.flight is not None
        target, _ = self.flight
        self.flight = None
        if outcome in ("done", "unknown, done"):
            self.upstream = LOOSE if target.raw is None else float(target.raw)
        current = target == self.delivery.target and self.delivery.status in (S.SENDING, S.RETRYING, S.OVERRIDDEN)
        renewal = self.delivery._term.renewing
        match outcome:
            case "failed":
                self.delivery.put_failed(self.now, "no connection")
            case "session lost" | "unknown id":
                self.delivery.put_failed(self.now, outcome)
                self.session_ends()
            case "refused":
                self.delivery.put_refused(self.now, "400")
                if renewal:
                    assert self.delivery.status is not S.REJECTED
                elif current:
                    self.refused = target
                    assert self.delivery.status is S.REJECTED
            case _:
                self.delivery.put_done(self.now, certain=outcome in ("done", "ignored"))
        assert renewal or self.delivery.status is not S.IN_FORCE
        self.pump()

    @precondition(lambda self: not self.session)
    @rule()
    def session_begins(self) -> None:
        self.session = self.looked = True
        self.refused = None
        self.delivery.ready(self.now)
        self.compare(self.upstream, self.now)
        self.pump()

    @precondition(lambda self: self.session)
    @rule()
    def session_ends(self) -> None:
        self.session = self.looked = False
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
            if self.policy == "alarm" and self.delivery.status is S.OVERRIDDEN and self.delivery._held:
                self.operator_holds = amps
        self.pump()

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def in_force_was_proven(self) -> None:
        if self.delivery.status is S.IN_FORCE:
            assert self.delivery.confirmed
            assert self.delivery.error == ""

    @invariant()
    def never_silently_unlimited(self) -> None:
        """A slot that failsafe holds is what is asked for; a release is owed until it is verified."""
        ruling, target = self.slots.ruling, self.delivery.target
        if self.slots.winner:
            assert target is not None
            assert target.raw == self.slots.value
            assert ruling is not None
        if target is not None and target.release:
            assert self.release_due
            assert not self.slots.winner

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
        self.operator_holds, self.known = None, set()
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


CommandPath.TestCase.settings = settings(max_examples=500, stateful_step_count=50, deadline=None)
TestCommandPath = pytest.mark.timeout(240)(CommandPath.TestCase)
