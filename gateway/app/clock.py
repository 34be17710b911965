"""The machine's own time."""

from __future__ import annotations

import ctypes
import time
from functools import cached_property
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIMEX_BYTES = 512
"""More than the kernel's `struct timex` on any machine; all zero, a call only asks."""
TIME_ERROR = 5
"""What adjtimex(2) returns while no time server keeps the clock right."""


class SystemClock:
    """Implements `engine.ports.BootClock`."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        return self._boot_id

    @cached_property
    def _boot_id(self) -> str:
        try:
            return BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def synchronised(self) -> bool:
        try:
            state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
        except (OSError, AttributeError):
            return False
        return 0 <= state < TIME_ERROR
