"""Database_Revision: one number for the object list and all names, kept over restarts (ASHRAE 135 clause 12.11.24).

Rules of this file: the same objects under the same names always have the number they had; anything else has a higher
one, so that a client's cached list is never taken for today's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.servers.bacnet.objects import Record


@dataclass(frozen=True, slots=True)
class Keeper:
    """Where the number is kept: `saved` is what the last run gave to `save`, None if there was none.

    `fresh` begins the count then; a time does, because clients may remember an earlier installation's numbers.
    """

    saved: Mapping[str, Any] | None
    fresh: int
    save: Callable[[Mapping[str, Any]], None]


class DatabaseRevision:
    """The number, 0 before `settle`."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._objects = 0
        self.value = 0

    @property
    def objects(self) -> int:
        """Stands for all objects with their names: the same ones, the same number."""
        return self._objects

    def toggle(self, record: Record) -> None:
        """An object comes under this name, or goes."""
        digest = hashlib.blake2b(f"{record.key}:{record.name}".encode("utf-8", "replace"), digest_size=8).digest()
        self._objects ^= int.from_bytes(digest, "big")

    def settle(self) -> None:
        """Compares what is there at the start with what there was in the last run."""
        saved = self._keeper.saved
        if saved is None:
            self.value = self._keeper.fresh
        else:
            self.value = saved["revision"] + (saved["objects"] != self._name)
        self._save()

    def changed(self) -> None:
        """Objects were added or renamed."""
        if self.value:
            self.value += 1
            self._save()

    @property
    def _name(self) -> str:
        return f"{self._objects:016x}"

    def _save(self) -> None:
        state = {"revision": self.value, "objects": self._name}
        if state != self._keeper.saved:
            self._keeper.save(state)
