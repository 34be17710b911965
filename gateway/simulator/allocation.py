"""How a zone's current is shared: equally, never below 6 A to anybody, never more than somebody wishes."""

import math
from collections.abc import Sequence

MIN_CHARGE_A = 6.0  # IEC 61851: a car cannot charge with less


def allocate(limit_a: float, wishes_a: Sequence[float]) -> list[float]:
    """Shares `limit_a` amperes among wishes given in serving order; 0.0 means "has to wait".

    When there is less than 6 A for each, the first ones get 6 A and the others nothing.
    Results are rounded down to 0.1 A, so their sum never exceeds the limit.
    """
    served = len(wishes_a)
    if limit_a < MIN_CHARGE_A * served:
        served = int(limit_a // MIN_CHARGE_A)
    shares = [0.0] * len(wishes_a)
    remaining, left = limit_a, served
    for place in sorted(range(served), key=wishes_a.__getitem__):
        share = min(wishes_a[place], remaining / left)
        shares[place] = math.floor(share * 10 + 1e-6) / 10
        remaining -= share
        left -= 1
    return shares
