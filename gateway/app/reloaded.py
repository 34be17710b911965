"""What a reload came to, for people."""

from __future__ import annotations

from dataclasses import dataclass, field

ALARM = "reload"
"""The alarm that the last reload was refused."""


@dataclass(slots=True)
class Reloaded:
    """Sentences: `done` is what holds from now on, `refused` why something (then everything) stays as it was."""

    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
