"""What a command's receipt can show, and what leads from one status to the next: tables only, no behaviour."""

from __future__ import annotations

from enum import Enum, IntEnum, auto


class WriteStatus(IntEnum):
    """What became of the newest command (DESIGN section 5); codes are served on every protocol."""

    IDLE = 1
    PENDING = 2
    SENDING = 3
    IN_FORCE = 4
    VERIFYING = 5
    RETRYING = 6
    BLOCKED = 7
    REJECTED = 8
    OVERRIDDEN = 9
    DRY_RUN = 10


class Authority(IntEnum):
    """Who governs the limit now."""

    INIT = 1
    AUTONOMOUS = 2
    CONTROLLED = 3
    FAILSAFE = 4
    INHIBITED = 5


class Event(Enum):
    """What can happen to a delivery."""

    ASKED = auto()
    WITHDRAWN = auto()
    READY = auto()
    LOST = auto()
    PUT_STARTED = auto()
    PUT_DONE = auto()
    PUT_UNKNOWN = auto()
    PUT_FAILED = auto()
    PUT_REFUSED = auto()
    AGREES = auto()
    DIFFERS = auto()
    GAVE_UP = auto()
    TIGHTENED = auto()
    PRETENDED = auto()


S, E = WriteStatus, Event
WAITING = (S.PENDING, S.SENDING, S.VERIFYING, S.RETRYING, S.BLOCKED, S.REJECTED, S.OVERRIDDEN, S.IN_FORCE)

TRANSITIONS: dict[tuple[WriteStatus, Event], WriteStatus] = {
    **{(status, E.ASKED): S.PENDING for status in (S.IDLE, *WAITING)},
    **{(status, E.LOST): S.BLOCKED for status in WAITING if status is not S.REJECTED},
    **{(status, E.PRETENDED): S.DRY_RUN for status in (S.IDLE, S.DRY_RUN)},
    (S.BLOCKED, E.ASKED): S.BLOCKED,
    (S.BLOCKED, E.READY): S.PENDING,
    (S.REJECTED, E.READY): S.PENDING,
    (S.PENDING, E.PUT_STARTED): S.SENDING,
    (S.SENDING, E.PUT_DONE): S.VERIFYING,
    (S.SENDING, E.PUT_UNKNOWN): S.VERIFYING,
    (S.SENDING, E.PUT_FAILED): S.RETRYING,
    (S.IN_FORCE, E.PUT_FAILED): S.RETRYING,
    **{(status, E.PUT_REFUSED): S.REJECTED for status in (S.SENDING, S.RETRYING, S.OVERRIDDEN)},
    **{(status, E.AGREES): S.IN_FORCE for status in (S.PENDING, S.VERIFYING, S.RETRYING, S.REJECTED, S.OVERRIDDEN)},
    (S.IN_FORCE, E.DIFFERS): S.VERIFYING,
    (S.VERIFYING, E.DIFFERS): S.RETRYING,
    (S.VERIFYING, E.GAVE_UP): S.OVERRIDDEN,
    (S.RETRYING, E.GAVE_UP): S.OVERRIDDEN,
    (S.PENDING, E.TIGHTENED): S.OVERRIDDEN,
    (S.RETRYING, E.TIGHTENED): S.OVERRIDDEN,
    (S.IN_FORCE, E.WITHDRAWN): S.IDLE,
}
