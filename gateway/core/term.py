"""The time after which a product forgets a value by itself (C12).

Rules of this file: pure, `now` comes in; an end is counted from when the request left, which is never later than
when the product began to count; an end that nobody knows is taken to be near.
"""

from __future__ import annotations

import math


class Term:
    """One value's end upstream, `valid_for_s` after it was sent; None is never.

    Attributes:
        renewing: what is in force was sent again and is not known to have arrived.
        renew_at: when it has to be sent again, None while it need not be.
    """

    def __init__(self, valid_for_s: float | None) -> None:
        self._valid_for_s = valid_for_s
        self.renewing = False
        self.renew_at: float | None = None
        self._ends_at: float | None = None
        self._agreed_at = -math.inf

    def lasts(self, valid_for_s: float | None) -> None:
        """Another validity from the next request on, which is due at once where there was none; None: no end."""
        had, self._valid_for_s = self._valid_for_s, valid_for_s
        if valid_for_s is None:
            self.forget()
        elif had is None and self._agreed_at != -math.inf:
            self.renew_at = self._agreed_at

    def forget(self) -> None:
        """Another target: nothing is in force of it yet."""
        self.renewing, self.renew_at, self._ends_at = False, None, None

    def begin(self, sent_at: float) -> None:
        """The product took the value from a request that left at `sent_at`; half-way it is sent again."""
        self.renewing = False
        if self._valid_for_s is not None:
            self._ends_at, self.renew_at = sent_at + self._valid_for_s, sent_at + self._valid_for_s / 2

    def agreed(self, now: float) -> None:
        """A read-back showed the value; found upstream and not sent by us, it may end at any moment."""
        self._agreed_at = now
        if self._valid_for_s is not None and self.renew_at is None:
            self.renew_at = now

    def is_over(self, now: float) -> bool:
        """Whether our end time has passed."""
        return self._ends_at is not None and now >= self._ends_at

    def is_unknown(self, now: float) -> bool:
        """Whether it has passed and nobody has read the value since."""
        return self._ends_at is not None and self._agreed_at < self._ends_at <= now
