"""A journal without a disk: what would survive `kill -9`, as dictionaries a test can look at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.engine.ports import Evidence


class MemoryJournal:
    """Keeps states as JSON text, as a disk would; `hang` makes the disk deaf, `takes_s` slow."""

    def __init__(self, restored: Mapping[str, Any] | None = None) -> None:
        self.states: dict[str, str] = {key: json.dumps(state) for key, state in (restored or {}).items()}
        self.evidence: list[Evidence] = []
        self.fault = ""
        self.hang = False
        self.takes_s = 0.0
        self.commits = 0
        self.notes = 0

    def restored(self) -> Mapping[str, Any]:
        return {key: json.loads(text) for key, text in self.states.items()}

    async def commit(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> bool:
        self.commits += 1
        await asyncio.sleep(self.takes_s)
        if self.hang:
            self.fault = "the disk does not answer"
            return False
        self._keep(states, evidence)
        return True

    def note(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> None:
        self.notes += 1
        if not self.hang:
            self._keep(states, evidence)

    def _keep(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> None:
        for key, state in states.items():
            if state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = json.dumps(state)
        self.evidence += evidence

    def events(self, point: str = "") -> list[str]:
        """The events so far, in order, of one point or of all."""
        return [item.event for item in self.evidence if item.point.startswith(point)]
