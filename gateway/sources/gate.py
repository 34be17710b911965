"""When a login may be tried: never in a storm, never against a person, never until the account is blocked.

Rules of this file: what is refused is told with clock times; a wrong password is tried twice, a refused user after
30 min, 1 h and 2 h, and then nobody tries until a person asks for it; a session that is lost three times in 5 min is
left to whoever takes it; a product that accepts the login and then nothing else is asked every 5 min.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.core.errors import CredentialsRefused, LoginHeld, Refused
from gateway.engine.ports import Clock

FORBIDDEN = 403
FORBIDDEN_WAITS_S = (1800.0, 3600.0, 7200.0)
"""An idle session at the product would be over after the first, a block that ends by itself after one of them."""
WRONG_WAIT_S = 60.0
LOSSES, WINDOW_S, PAUSE_S = 3, 300.0, 300.0
MEND = "mend it, then `evce-gateway reload`"


def mend_and_reload() -> str:
    """What a person does about a refused login, unless more is known."""
    return MEND


class Gate:
    """Counts refusals and losses of one source's sessions; `tries` is how often a wrong password is sent."""

    def __init__(self, clock: Clock, tries: int, mend: Callable[[], str] = mend_and_reload) -> None:
        self._clock, self._tries, self._mend = clock, tries, mend
        self._held: Refused | None = None
        self._until = 0.0
        self._since = 0.0
        self._refusals: dict[int, int] = {}
        self._losses: deque[float] = deque(maxlen=LOSSES)
        self._fruitless = 0

    def check(self) -> None:
        """Raises what holds the login, with the seconds that are left."""
        left_s = self._until - self._clock.monotonic()
        if self._held is None or left_s <= 0:
            return
        after_s = left_s if math.isfinite(left_s) else None
        if isinstance(self._held, LoginHeld):
            raise LoginHeld(str(self._held), self._held.status, after_s, taken=self._held.taken)
        raise CredentialsRefused(str(self._held), self._held.status, after_s)

    def forgive(self) -> None:
        """A person says that it is mended: the next login is the first one again."""
        self._held, self._until = None, 0.0
        self._refusals.clear()

    def opened(self) -> None:
        """A login was accepted."""
        self.forgive()

    def answered(self) -> None:
        """The session was good for more than the login."""
        self._fruitless = 0

    def refused(self, error: CredentialsRefused) -> CredentialsRefused:
        """The same refusal, with when the next login may be tried (`retry_after_s`) and its words."""
        if not self._refusals:
            self._since = self._clock.wall()
        count = self._refusals[error.status] = self._refusals.get(error.status, 0) + 1
        if error.status == FORBIDDEN:
            wait_s = FORBIDDEN_WAITS_S[count - 1] if count <= len(FORBIDDEN_WAITS_S) else None
            text = f"login refused since {clock_text(self._since)}"
            text += f", next try {self._in(wait_s)}: {error}" if wait_s else f", not tried again: {error}"
        else:
            wait_s = WRONG_WAIT_S if count < self._tries else None
            text = f"{error}; next try {self._in(wait_s)}" if wait_s else str(error)
        if wait_s is None:
            text += f"; {self._mend()}"
        held = CredentialsRefused(text, error.status, wait_s)
        self._hold(held, math.inf if wait_s is None else wait_s)
        return held

    def lost(self, error: Refused, *, proven: bool) -> None:
        """A session ended with a 401; `proven` if it had answered anything before. Holds the login at the third."""
        now = self._clock.monotonic()
        self._losses.append(now)
        self._fruitless = 0 if proven else self._fruitless + 1
        if self._fruitless >= LOSSES:
            text = f"every session is refused after a good login ({error}); is the product's clock or firmware right?"
            self._hold(LoginHeld(f"{text} Next try {self._in(PAUSE_S)}", 401, PAUSE_S, taken=False), PAUSE_S)
        elif len(self._losses) == LOSSES and now - self._losses[0] < WINDOW_S:
            text = f"the session was lost {LOSSES} times in {WINDOW_S / 60:g} min: taken by another login"
            text += f"; pausing {PAUSE_S / 60:g} min, next try {self._in(PAUSE_S)}"
            self._losses.clear()
            self._hold(LoginHeld(text, 401, PAUSE_S, taken=True), PAUSE_S)

    def _hold(self, error: Refused, seconds: float) -> None:
        self._held, self._until = error, self._clock.monotonic() + seconds

    def _in(self, seconds: float) -> str:
        return clock_text(self._clock.wall() + seconds)


def clock_text(wall: float) -> str:
    """A time of day as people compare it with a watch; the zone is said because the product's may be another."""
    return datetime.fromtimestamp(wall, UTC).strftime("%H:%M UTC")
