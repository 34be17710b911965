"""How one commandable point's target reaches the product: a state machine with `now` passed in.

Rules of this file: pure; every change of `status` goes through TRANSITIONS; at most one request is in flight;
only a read-back makes a value "in force"; an ambiguous end is settled by reading before anything is repeated.
Names and timings: DESIGN section 5, rules C06-C09.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from gateway.core.value import Value

PUT_GAP_S = 2.0
COALESCE_S = 0.5
READ_BACK_S = (0.0, 1.0, 3.0, 10.0)
REPEAT_S = (3.0, 10.0)
GIVE_UP_S = 15.0
SLOW_REPEAT_S = (60.0, 600.0)
RETRY_S = (1.0, 60.0)


class WriteStatus(IntEnum):
    """What became of the newest command (DESIGN section 5); codes are served on every protocol."""

    IDLE = 1
    PENDING = 2
    SENDING = 3
    IN_FORCE = 4
    VERIFYING = 5
    RETRYING = 6
    BLOCKED = 7
    REJECTED = 8
    OVERRIDDEN = 9
    DRY_RUN = 10


class Authority(IntEnum):
    """Who governs the limit now."""

    INIT = 1
    AUTONOMOUS = 2
    CONTROLLED = 3
    FAILSAFE = 4
    INHIBITED = 5


class Event(Enum):
    """What can happen to a delivery."""

    ASKED = auto()
    WITHDRAWN = auto()
    READY = auto()
    LOST = auto()
    PUT_STARTED = auto()
    PUT_DONE = auto()
    PUT_UNKNOWN = auto()
    PUT_FAILED = auto()
    PUT_REFUSED = auto()
    AGREES = auto()
    DIFFERS = auto()
    GAVE_UP = auto()
    TIGHTENED = auto()


class Action(Enum):
    """What the caller has to do now."""

    PUT = auto()
    GET = auto()


S, E = WriteStatus, Event
WAITING = (S.PENDING, S.SENDING, S.VERIFYING, S.RETRYING, S.BLOCKED, S.REJECTED, S.OVERRIDDEN, S.IN_FORCE)

TRANSITIONS: dict[tuple[WriteStatus, Event], WriteStatus] = {
    **{(status, E.ASKED): S.PENDING for status in (S.IDLE, *WAITING)},
    **{(status, E.WITHDRAWN): S.IDLE for status in (S.IDLE, *WAITING)},
    (S.BLOCKED, E.ASKED): S.BLOCKED,
    (S.BLOCKED, E.READY): S.PENDING,
    (S.REJECTED, E.READY): S.PENDING,
    **{(status, E.LOST): S.BLOCKED for status in WAITING if status is not S.REJECTED},
    (S.PENDING, E.PUT_STARTED): S.SENDING,
    (S.RETRYING, E.PUT_STARTED): S.SENDING,
    (S.OVERRIDDEN, E.PUT_STARTED): S.OVERRIDDEN,
    (S.SENDING, E.PUT_DONE): S.VERIFYING,
    (S.SENDING, E.PUT_UNKNOWN): S.VERIFYING,
    (S.SENDING, E.PUT_FAILED): S.RETRYING,
    (S.SENDING, E.PUT_REFUSED): S.REJECTED,
    (S.OVERRIDDEN, E.PUT_REFUSED): S.REJECTED,
    (S.PENDING, E.AGREES): S.IN_FORCE,
    (S.VERIFYING, E.AGREES): S.IN_FORCE,
    (S.RETRYING, E.AGREES): S.IN_FORCE,
    (S.OVERRIDDEN, E.AGREES): S.IN_FORCE,
    (S.VERIFYING, E.DIFFERS): S.RETRYING,
    (S.IN_FORCE, E.DIFFERS): S.RETRYING,
    (S.RETRYING, E.GAVE_UP): S.OVERRIDDEN,
    (S.VERIFYING, E.GAVE_UP): S.OVERRIDDEN,
    **{(status, E.TIGHTENED): S.OVERRIDDEN for status in (S.PENDING, S.VERIFYING, S.RETRYING, S.IN_FORCE)},
}


@dataclass(frozen=True, slots=True)
class Target:
    """What the product shall hold: a raw value in its own unit, or nothing (`release`)."""

    raw: Value | None
    release: bool = False


class Delivery:
    """One commandable point's way upstream; the caller performs `next_action` and reports the outcome.

    Attributes:
        status: what a receipt shows.
        target: what shall be in force, None when nothing was ever asked or the release is verified.
        error: why the last attempt failed, in words, "" when it did not.
    """

    def __init__(self) -> None:
        self.status = WriteStatus.IDLE
        self.target: Target | None = None
        self.error = ""
        self.confirmed = False
        self._ready = False
        self._in_flight: Target | None = None
        self._asked_at = 0.0
        self._put_at: float | None = None
        self._get_at: list[float] = []
        self._differs_since: float | None = None
        self._due = 0.0
        self._attempts = 0
        self._held = False

    def _on(self, event: Event) -> None:
        self.status = TRANSITIONS.get((self.status, event), self.status)

    def ask(self, target: Target, now: float, *, tighter: bool = False) -> None:
        """A new target; the first leaves at once, later ones keep the PUT gap and may be coalesced."""
        if target == self.target and self.status not in (S.REJECTED, S.OVERRIDDEN):
            return
        self.target, self._asked_at, self._attempts, self.error = target, now, 0, ""
        self.confirmed = False
        self._differs_since = None
        self._held = False
        self._get_at = []
        self._on(E.ASKED)
        if not self._ready:
            self._on(E.LOST)
        self._due = now
        if self._put_at is not None:
            wait = PUT_GAP_S - (now - self._put_at)
            self._due = now + max(0.0 if tighter else min(COALESCE_S, wait), wait, 0.0)

    def ready(self, now: float) -> None:
        """The source is logged in, the name is resolved and a first GET was seen (C07)."""
        if self._ready:
            return
        self._ready = True
        self._on(E.READY)
        self._due = now

    def lost(self) -> None:
        """The source or the name is gone: nothing may be sent."""
        self._ready = False
        self._get_at = []
        if self.target is not None:
            self._on(E.LOST)

    def next_action(self, now: float) -> Action | None:
        """What to do at `now`, if anything; a PUT counts as started when this returns it."""
        if self._in_flight is not None or not self._ready or self.target is None:
            return None
        if self._get_at and now >= self._get_at[0]:
            self._get_at.pop(0)
            return Action.GET
        if self._may_put() and now >= self._due:
            self._in_flight = self.target
            self._put_at = now
            self._get_at = []
            if self.status is S.OVERRIDDEN:
                self._attempts += 1
                self._due = now + min(SLOW_REPEAT_S[0] * 2**self._attempts, SLOW_REPEAT_S[1])
            self._on(E.PUT_STARTED)
            return Action.PUT
        return None

    def wake_at(self) -> float | None:
        """When `next_action` may next have something to do; None: only after another event."""
        if self._in_flight is not None or not self._ready or self.target is None:
            return None
        times = self._get_at[:1]
        if self._may_put():
            times.append(self._due)
        return min(times, default=None)

    def _may_put(self) -> bool:
        return self.status in (S.PENDING, S.RETRYING, S.OVERRIDDEN) and not self._held

    def put_done(self, now: float, *, certain: bool) -> None:
        """The PUT was answered 2xx, or (`certain` False) its end is unknown: read back before anything else."""
        superseded = self._land()
        if superseded:
            return
        self._on(E.PUT_DONE if certain else E.PUT_UNKNOWN)
        self._get_at = [now + wait for wait in READ_BACK_S]

    def put_failed(self, now: float, error: str) -> None:
        """Nothing left, or the product is busy: the target is tried again with back-off."""
        if self._land():
            return
        self.error = error
        self._attempts += 1
        self._due = now + min(RETRY_S[0] * 2 ** (self._attempts - 1), RETRY_S[1])
        self._on(E.PUT_FAILED)

    def put_refused(self, error: str) -> None:
        """The product said no (400, 403): not repeated until something new is asked or the session changes."""
        if self._land():
            return
        self.error = error
        self._on(E.PUT_REFUSED)

    def read_back(self, now: float, *, agrees: bool, what: str, loosens: bool = False) -> None:
        """A GET (asked for or of a poll) was compared with the target; `what` says in words what was read.

        `loosens`: sending the target again would loosen what somebody else set upstream (C09: never done).
        """
        if self.target is None or self._in_flight is not None:
            return
        if agrees:
            self._agrees()
        elif loosens and self.confirmed:
            self.error, self._held, self._get_at = what, True, []
            self._on(E.TIGHTENED)
        else:
            self._held = False
            self._differs(now, what)

    def _agrees(self) -> None:
        """The product holds the target; a verified release leaves nothing to deliver (C06)."""
        self._on(E.AGREES)
        if self.status is not S.IN_FORCE:
            return
        self.confirmed, self.error, self._attempts, self._held = True, "", 0, False
        self._differs_since = None
        self._get_at = []
        if self.target is not None and self.target.release:
            self.target = None
            self._on(E.WITHDRAWN)

    def _differs(self, now: float, what: str) -> None:
        """A read-back shows another value: repeat at 3 and 10 s, from 15 s on overridden (C08)."""
        if self.status not in (S.VERIFYING, S.RETRYING, S.IN_FORCE):
            return
        if self._differs_since is None:
            self._differs_since = now
            self._attempts = 0
        self.error = what
        if now - self._differs_since >= GIVE_UP_S:
            self._on(E.GAVE_UP)
            self._attempts = 0
            self._due = now + SLOW_REPEAT_S[0]
        elif self.status is S.IN_FORCE or (self.status is S.VERIFYING and not self._get_at):
            self._on(E.DIFFERS)
            step = min(self._attempts, len(REPEAT_S) - 1)
            self._due = max(now, self._differs_since + REPEAT_S[step])
            self._attempts += 1

    def _land(self) -> bool:
        """The request in flight has ended; whether a newer target replaced it or the source went meanwhile."""
        landed, self._in_flight = self._in_flight, None
        return landed != self.target or self.status not in (S.SENDING, S.OVERRIDDEN)
