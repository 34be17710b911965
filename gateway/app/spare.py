"""Memory that a reload has freed goes back to the system, which the allocator would keep for itself."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def give_back() -> None:
    """Collects what is not used any more, and trims the heap where the C library can (glibc)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
