"""In which state the connection to a source is: one word for people, one code for every protocol."""

from __future__ import annotations

from enum import StrEnum


class SourceState(StrEnum):
    """What `status` prints and the point `source.state` serves; `SOURCE_CODES` has the codes."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    PAUSED = "paused"
    TAKEN = "taken"
    REFUSED = "refused"


SOURCE_CODES = {state.value: code for code, state in enumerate(SourceState, 1)}
"""Codes 1..N in the order above; a new state goes to the end, so that no code ever changes its meaning."""
