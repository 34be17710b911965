"""How one commandable point's target reaches the product: a state machine with `now` passed in.

Rules of this file: pure; every change of `status` goes through TRANSITIONS; at most one request is in flight;
only a read-back makes a value "in force"; an ambiguous end is settled by reading before anything is repeated.
While a value is repeated the status stays 6, and once given up it stays 9, until a read-back agrees. What the
product would forget by itself is sent again at half its time; while that fails the status is 6, whatever is read.
Names and timings: DESIGN section 5, rules C06-C10 and C12.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

from gateway.core.patience import Patience, Uniform, middle
from gateway.core.point import OnConflict
from gateway.core.term import Term
from gateway.core.value import Value
from gateway.core.write_status import TRANSITIONS, Authority, Event, WriteStatus

PUT_GAP_S = 2.0
COALESCE_S = 0.5
READ_BACK_S = (0.0, 1.0, 3.0, 10.0)
REPEAT_S = (3.0, 10.0)
GIVE_UP_S = 15.0


class Action(Enum):
    """What the caller has to do now."""

    PUT = auto()
    GET = auto()


S, E = WriteStatus, Event


@dataclass(frozen=True, slots=True)
class Target:
    """What the product shall hold: a raw value in its own unit, several in one request, or nothing (`release`)."""

    raw: Value | tuple[Value, ...] | None
    release: bool = False


class Delivery:
    """One commandable point's way upstream; the caller performs `next_action` and reports the outcome.

    Args:
        on_conflict: what somebody else's change of a confirmed value leads to (C09).
        gap_s: seconds between two requests.
        valid_for_s: after how long the product forgets the value by itself, None for never (C12).
        uniform: draws the jitter of repetitions.

    Attributes:
        status: what a receipt shows.
        target: what shall be in force, None when nothing was ever asked or the release is verified.
        error: why the last attempt failed, in words, "" when it did not.
        confirmed: whether a read-back agreed with this target before.
    """

    def __init__(
        self,
        *,
        on_conflict: OnConflict = "reassert",
        gap_s: float = PUT_GAP_S,
        valid_for_s: float | None = None,
        uniform: Uniform = middle,
    ) -> None:
        self._on_conflict, self._gap_s = on_conflict, gap_s
        self._patience, self._term = Patience(uniform), Term(valid_for_s)
        self.status = WriteStatus.IDLE
        self.target: Target | None = None
        self.error = ""
        self.confirmed = False
        self.is_ready = False
        self._in_flight: Target | None = None
        self._put_at: float | None = None
        self._landed_at = -math.inf
        self._get_at: list[float] = []
        self._due: float | None = None
        self._doubt_since: float | None = None
        self._repeats = 0
        self._held = self._excused = self._reasserting = False

    def retune(self, *, on_conflict: OnConflict, gap_s: float, valid_for_s: float | None) -> None:
        """Other terms from now on; an end time that is known upstream stays, unless there is to be none."""
        self._on_conflict, self._gap_s = on_conflict, gap_s
        self._term.lasts(valid_for_s)

    @property
    def in_flight(self) -> Target | None:
        """What the request under way carries, which may differ from `target` by now."""
        return self._in_flight

    def _on(self, event: Event) -> None:
        self.status = TRANSITIONS.get((self.status, event), self.status)

    # -- what is asked -------------------------------------------------------------------------------------------

    def ask(self, target: Target, now: float, *, tighter: bool = False) -> None:
        """A new target; the first leaves at once, later ones keep the PUT gap and may be coalesced.

        The same target again is a refresh and changes nothing: a BMS that writes in a cycle neither repeats what
        the product refused (C08) nor loosens what an operator tightened (C09).
        """
        if target == self.target:
            return
        self.target, self.error, self.confirmed = target, "", False
        self._forget_attempts()
        self._held = self._excused = False
        self._term.forget()
        self._get_at = []
        self._on(E.ASKED)
        if not self.is_ready:
            self._on(E.LOST)
        self._due = now
        if self._put_at is not None and now - self._put_at < self._gap_s:
            self._due = max(self._put_at + self._gap_s, now + (0.0 if tighter else COALESCE_S))

    def restore(self, target: Target, *, confirmed: bool) -> None:
        """What an earlier run was asked for and had not taken back; `confirmed`: the product held it then (C10)."""
        self.target, self.confirmed, self._excused = target, confirmed, confirmed
        self._on(E.ASKED)
        self._on(E.LOST)

    def pretend(self) -> None:
        """Dry run: what is asked is shown and never sent."""
        self._on(E.PRETENDED)

    # -- whether anything may be sent ----------------------------------------------------------------------------

    def ready(self, now: float, began: float = math.inf) -> None:
        """The source is logged in, the name is resolved and a first GET was seen (C07).

        `began`: when the GET was sent; one from before a PUT landed is not compared, so another must come first.
        """
        if self.is_ready or began < self._landed_at:
            return
        self.is_ready = True
        self._forget_attempts()
        self._due = now
        self._on(E.READY)

    def lost(self) -> None:
        """The session, the source or the name is gone: nothing may be sent until `ready`."""
        self.is_ready = self._term.renewing = False
        self._get_at = []
        self._due = None
        self._excused = self._excused or self.confirmed
        if self.target is not None:
            self._on(E.LOST)

    # -- what to do ----------------------------------------------------------------------------------------------

    def next_action(self, now: float) -> Action | None:
        """What to do at `now`, if anything; a PUT counts as started when this returns it."""
        if self._in_flight is not None or not self.is_ready or self.target is None:
            return None
        if self._get_at and now >= self._get_at[0]:
            self._get_at = [at for at in self._get_at if at > now]
            return Action.GET
        due = self._put_due()
        if due is None or now < due:
            return None
        if self.status is S.OVERRIDDEN:
            self._patience.repeated()
        self._reasserting = self.confirmed and self.status in (S.PENDING, S.OVERRIDDEN)
        self._term.renewing = self._term.renewing or self.status is S.IN_FORCE
        self._in_flight, self._put_at = self.target, now
        self._get_at, self._due = [], None
        self._on(E.PUT_STARTED)
        return Action.PUT

    def wake_at(self) -> float | None:
        """When `next_action` may next have something to do; None: only after another event."""
        if self._in_flight is not None or not self.is_ready or self.target is None:
            return None
        due = self._put_due()
        return min([*self._get_at[:1], *([] if due is None else [due])], default=None)

    def _put_due(self) -> float | None:
        """When the next PUT may leave, None when none is wanted now."""
        match self.status:
            case S.PENDING | S.RETRYING | S.OVERRIDDEN if not self._held:
                due = self._due
            case S.IN_FORCE:
                due = self._term.renew_at
            case _:
                return None
        if due is None or self._put_at is None or self._gap_s <= PUT_GAP_S:
            return due
        return max(due, self._put_at + self._gap_s)

    def expired(self, now: float) -> bool:
        """Whether the product may have forgotten the value by itself, and nobody has read since (C12)."""
        return self._term.is_unknown(now)

    # -- how a PUT ended -----------------------------------------------------------------------------------------

    def put_done(self, now: float, *, certain: bool, error: str = "") -> None:
        """The PUT was answered 2xx, or (`certain` False) its end is unknown: read back before anything else."""
        if self._term.renewing and not certain:
            self.put_failed(now, error)  # the value reads the same with the old end and with the new one
            return
        if self._land(now):
            return
        if self._put_at is not None and self.target is not None and not self.target.release:
            self._term.begin(self._put_at)
        self._patience.arrived()
        if self._reasserting:
            self._patience.reasserted(now)
        self.error = error
        if self._doubt_since is None:
            self._doubt_since = now
        if self.status is S.OVERRIDDEN:
            self._due = self._slow_due(now)
        self._on(E.PUT_DONE if certain else E.PUT_UNKNOWN)
        checks = {now + wait for wait in READ_BACK_S}
        checks |= {self._doubt_since + wait for wait in (*REPEAT_S, GIVE_UP_S)}
        self._get_at = sorted(at for at in checks if at >= now)

    def put_failed(self, now: float, error: str, *, wait_s: float | None = None) -> None:
        """Nothing left, or the product is busy: the target is tried again with back-off, or when the product said."""
        if self._land(now):
            return
        self.error = error
        backoff = self._patience.retry_s()
        self._on(E.PUT_FAILED)
        self._due = now + (backoff if wait_s is None else wait_s)
        if self.status is S.OVERRIDDEN:
            self._due = max(self._due, self._slow_due(now))

    def put_refused(self, now: float, error: str) -> None:
        """The product said no (400, 403): not repeated until something new is asked or the session changes.

        A refused renewal is repeated: what is in force would end without a word.
        """
        if self._term.renewing:
            self.put_failed(now, error)
            return
        if self._land(now):
            return
        self.error = error
        self._on(E.PUT_REFUSED)

    def _land(self, now: float) -> bool:
        """The request in flight has ended; whether a newer target replaced it or the source went meanwhile."""
        landed, self._in_flight, self._landed_at = self._in_flight, None, now
        awaited = self._term.renewing or self.status in (S.SENDING, S.RETRYING, S.OVERRIDDEN)
        if self.status is S.PENDING and landed == self.target:
            self._get_at = [now]  # the session began anew meanwhile: what arrived is looked at before it is sent again
        return landed != self.target or not awaited

    # -- what was read back --------------------------------------------------------------------------------------

    def read_back(
        self,
        now: float,
        *,
        agrees: bool,
        what: str,
        loosens: bool = False,
        foreign: bool = False,
        began: float | None = None,
    ) -> None:
        """A GET (asked for or of a poll) was compared with the target; `what` says in words what was read.

        `loosens`: sending the target again would loosen what is in force upstream (C09: never done to another's).
        `foreign`: it is tighter than anything this gateway ever asked for, so it is another's (C10).
        `began`: when the GET was sent; one that overlapped a PUT says nothing about the time after it.
        """
        overlapped = self._in_flight is not None or (began is not None and began < self._landed_at)
        if self.target is None or overlapped:
            return
        if agrees:
            self._agrees(now)
            return
        hands_off = self._hands_off(now, loosens=loosens, foreign=foreign)
        match self.status:
            case S.PENDING | S.RETRYING | S.OVERRIDDEN if hands_off:
                self.error, self._held, self._term.renewing = what, True, False
                self._on(E.TIGHTENED)
            case S.PENDING:
                self._held = False
                if self.confirmed and self._due is not None:
                    self._due = max(self._due, self._patience.reassert_due(now))
            case S.OVERRIDDEN:
                self.error = what
                self._hold_no_more(now)
            case S.IN_FORCE | S.VERIFYING | S.RETRYING:
                self._differs(now, what, hands_off=hands_off)
            case _:
                pass

    def _hands_off(self, now: float, *, loosens: bool, foreign: bool) -> bool:
        """Whether what is upstream stays as it is: another's tighter value always, any under `alarm` (C09).

        What was lost with the session, or ended with our own end time, was nobody's decision: it is set again.
        """
        if loosens:
            return self.confirmed or foreign or self._held
        excused = self._excused or self._term.is_over(now)
        return self._on_conflict == "alarm" and self.confirmed and not excused

    def _agrees(self, now: float) -> None:
        """The product holds the target; a verified release leaves nothing to deliver (C06)."""
        self._term.agreed(now)
        if self._term.renewing:
            return
        self._on(E.AGREES)
        if self.status is not S.IN_FORCE:
            return
        self.confirmed, self.error, self._due = True, "", None
        self._held = self._excused = False
        self._forget_attempts()
        self._get_at = []
        if self.target is not None and self.target.release:
            self.target, self.confirmed = None, False
            self._on(E.WITHDRAWN)

    def _differs(self, now: float, what: str, *, hands_off: bool) -> None:
        """Another value upstream: doubt from now on (C09), or repeat at 3 and 10 s (C08); from 15 s on overridden."""
        if self.status is S.IN_FORCE:
            self.error = what
            self._doubt_since = now
            self._repeats = len(REPEAT_S)
            self._get_at = [now + wait for wait in (*READ_BACK_S[1:], GIVE_UP_S)]
            self._on(E.DIFFERS)
            return
        since = self._doubt_since
        if since is None:
            return
        self.error = what
        if now - since >= GIVE_UP_S:
            reassert = self.confirmed and self._repeats == len(REPEAT_S)
            self._on(E.GAVE_UP)
            self._held = hands_off
            self._due = self._patience.reassert_due(now) if reassert else self._slow_due(now)
        elif self._repeats < len(REPEAT_S) and now - since >= REPEAT_S[self._repeats]:
            self._repeats += 1
            self._due = now
            self._on(E.DIFFERS)

    def _hold_no_more(self, now: float) -> None:
        """Upstream is no longer tighter than asked: what is asked is set again, and 9 stays until it agrees."""
        if self._held:
            self._held = False
            self._due = self._patience.reassert_due(now)

    def _slow_due(self, now: float) -> float:
        """Every 1..10 min without end (C08), a confirmed value not oftener than reassertions may be (C09)."""
        slow = self._patience.slow_due(now)
        return max(slow, self._patience.reassert_due(now)) if self.confirmed else slow

    def _forget_attempts(self) -> None:
        self._doubt_since = None
        self._repeats = 0
        self._patience.forget()


__all__ = ["Action", "Authority", "Delivery", "Target", "WriteStatus"]
