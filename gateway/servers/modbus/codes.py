"""Exception codes, and the one place where a refused command becomes one of them.

Source: Modbus Application Protocol V1.1b3, clause 7. Code 0A is not used.
"""

from __future__ import annotations

from enum import IntEnum

from gateway.core.errors import Reject


class Code(IntEnum):
    """The exception codes that this server answers."""

    FUNCTION = 0x01
    ADDRESS = 0x02
    VALUE = 0x03
    FAILURE = 0x04
    BUSY = 0x06
    NO_TARGET = 0x0B


class Refusal(Exception):
    """A request that is answered with an exception code; nothing was changed."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


REJECT_CODES: dict[Reject, Code] = {
    Reject.UNKNOWN_POINT: Code.ADDRESS,
    Reject.NOT_WRITABLE: Code.ADDRESS,
    Reject.NO_RIGHT: Code.ADDRESS,
    Reject.TYPE: Code.VALUE,
    Reject.NOT_FINITE: Code.VALUE,
    Reject.RANGE: Code.VALUE,
    Reject.FLOOR: Code.VALUE,
    Reject.SLOT: Code.VALUE,
    Reject.PARTIAL: Code.VALUE,
    Reject.INHIBITED: Code.FAILURE,
    Reject.BUSY: Code.BUSY,
    Reject.UPSTREAM: Code.FAILURE,
    Reject.NO_HEARTBEAT: Code.FAILURE,
    Reject.READ_ONLY: Code.FAILURE,
}


def reject_code(reject: Reject) -> Code:
    """The exception code of a refused command."""
    return REJECT_CODES[reject]
