"""What a user of the page may do: viewer < operator < admin."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """Each may what the one before it may, and more."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    def __str__(self) -> str:
        return self.name.lower()
