"""One error tree, split by whose fault it is. A programming error is none of these and is never caught."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class GatewayError(Exception):
    """Base of everything the gateway raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault in a file an integrator edits; lines and columns are 1-based, 0 when the file has none."""

    file: str
    line: int
    col: int
    path: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.col}" if self.line else self.file
        return f"{where}: {self.path}: {self.text}" if self.path else f"{where}: {self.text}"


class ConfigError(GatewayError):
    """The operator's files are wrong; carries every fault that was found, in file order."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class SourceError(GatewayError):
    """The product did not do what was asked; the text is shown to people, so it says what happened."""


class Unreachable(SourceError):
    """No answer: name resolution, connection, TLS, time-out or reset. Safe to try again later."""


class NothingSent(SourceError):
    """A body could not be filled: something it needs has no value yet."""


class NotMergeable(NothingSent):
    """A document that a command changes is not what the mapping takes it for; sending it again would not help."""


class Ambiguous(Unreachable):
    """A request left and no answer came: whether the product carried it out is unknown."""


class Refused(SourceError):
    """The product answered and said no.

    Attributes:
        status: HTTP status code.
        retry_after_s: seconds the product asked to wait, if it did.
    """

    def __init__(self, text: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_s = retry_after_s


class CredentialsRefused(Refused):
    """The product refuses this login; asking again (before `retry_after_s`, if given) would block the account."""


class LoginHeld(Refused):
    """No login before `retry_after_s`: another login takes the session each time (`taken`), or no session works."""

    def __init__(self, text: str, status: int, retry_after_s: float | None = None, *, taken: bool) -> None:
        super().__init__(text, status, retry_after_s)
        self.taken = taken


class SessionLost(Refused):
    """The session ended (401): one new login may mend it."""


class BadAnswer(SourceError):
    """The product answered something that is not usable: not JSON, too large, malformed."""


class Reject(IntEnum):
    """Why a command was refused; the code is what `error` of a receipt shows."""

    UNKNOWN_POINT = 1
    NOT_WRITABLE = 2
    NO_RIGHT = 3
    TYPE = 4
    NOT_FINITE = 5
    RANGE = 6
    FLOOR = 7
    SLOT = 8
    PARTIAL = 9
    INHIBITED = 10
    BUSY = 11
    UPSTREAM = 12
    NO_HEARTBEAT = 13
    READ_ONLY = 14


class CommandRejected(GatewayError):
    """A command was refused before anything left; servers turn `reject` into their protocol's code."""

    def __init__(self, reject: Reject, text: str) -> None:
        super().__init__(text)
        self.reject = reject


class CorrectionRefused(GatewayError):
    """A correction of the address book was refused; nothing was changed."""


class AcknowledgeRefused(GatewayError):
    """An alarm was never in the state that is acknowledged; nothing was changed."""


class AcknowledgedTooLate(AcknowledgeRefused):
    """The alarm has been in that state again since the time that is acknowledged."""
