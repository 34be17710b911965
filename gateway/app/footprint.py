"""What the process holds of its machine: the figures that must not grow while it runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

_PROC = Path("/proc/self")


def footprint() -> dict[str, float | None]:
    """Tasks of the running loop, open descriptors and resident memory in MB (10^6 bytes); None where /proc is not."""
    try:
        pages = int((_PROC / "statm").read_text(encoding="ascii").split()[1])
        rss_mb = round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
        descriptors = sum(1 for _ in (_PROC / "fd").iterdir())
    except OSError:
        return {"tasks": len(asyncio.all_tasks()), "fds": None, "rss_mb": None}
    return {"tasks": len(asyncio.all_tasks()), "fds": descriptors, "rss_mb": rss_mb}
