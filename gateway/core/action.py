"""One-shot commands: when a written code fires, and what a client sees of its end (C15).

Rules of this file: pure; only a change from 0 fires; a code that stands already is no change, so that a client that
writes in a cycle, or a repeated datagram, never fires twice.
"""

from __future__ import annotations

from enum import IntEnum

from gateway.core.errors import CommandRejected, Reject


class ActionResult(IntEnum):
    """What became of the newest action; the codes are served on every protocol."""

    RUNNING = 1
    DONE = 2
    FAILED = 3
    UNKNOWN = 4
    NEVER_RUN = 5


def fires(held: int, code: int, *, running: bool) -> bool:
    """Whether writing `code` where `held` stands sends its body; `running`: the last one has not ended.

    Raises:
        CommandRejected: BUSY while another one runs; RANGE for a code over another one that stands there.
    """
    if code in (0, held):
        return False
    if running:
        raise CommandRejected(Reject.BUSY, "an action is still running; wait for its result, then write 0 and the code")
    if held:
        raise CommandRejected(Reject.RANGE, f"{held} stands there, and only a change from 0 fires: write 0 first")
    return True
