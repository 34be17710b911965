"""What the engine asks of the outside: a clock, sources, and what it offers to servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.point import CommandSpec, ListSpec, MembersSpec, PointSpec, ReadSpec
from gateway.core.priority import Origin, PriorityArray
from gateway.core.value import Value


class Clock(Protocol):
    """Time, injected everywhere: `monotonic()` in seconds for ages and timers, `wall()` as Unix time."""

    def monotonic(self) -> float: ...

    def wall(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Listed:
    """One item of a list answer: its id as text, its name, and the guard member if the mapping names one."""

    id: str
    name: str
    guard: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Under what an answer was asked for: the session's number and the (monotonic) time the request left."""

    session: int
    began: float


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One body to send upstream, in session number `session` and in no other.

    `path_values` fill `{id}` and `{parent.id}`; `values` fill `{value}` `{default}` and `{point:NAME}`.
    """

    command: CommandSpec
    release: bool
    path_values: Mapping[str, str]
    values: Mapping[str, Value]
    session: int


class Source(Protocol):
    """One login to one product. Every method raises SourceError subclasses and nothing else.

    Documents are decoded JSON, not yet interpreted beyond `items` and `match`.
    """

    name: str

    @property
    def session_age_s(self) -> float | None:
        """Seconds since login, None without a session."""

    @property
    def session_number(self) -> int:
        """Counts logins, so that a command can tell whether its last read-back is of this session."""

    async def open(self) -> None:
        """Logs in unless there is a session."""

    async def close(self) -> None:
        """Logs out politely; never raises."""

    async def list_resources(self, spec: ListSpec) -> list[Listed]:
        """All resources of a kind."""

    async def members(self, spec: MembersSpec, path_values: Mapping[str, str]) -> list[str]:
        """The ids of the members of one resource."""

    async def read(self, spec: ReadSpec, path_values: Mapping[str, str]) -> Any:
        """The document of one resource; None when the answer's status is one of `none_status`."""

    async def read_bulk(self, spec: ReadSpec) -> dict[str, Any]:
        """One answer split by resource id."""

    def preview(self, request: WriteRequest) -> str:
        """What `write` would send, in words: method, path and body; nothing is sent."""

    async def write(self, request: WriteRequest) -> str:
        """Sends a command's body once; returns the product's answer in words for the evidence.

        Raises:
            SessionLost: the request's session is over; nothing was sent, or the product refused it unread.
            NothingSent: a placeholder of the body has no value.
        """


@dataclass(frozen=True, slots=True)
class Ask:
    """One write of a client: a table index, a value (None releases), and the slot it stands for."""

    index: int
    value: Value | None
    slot: int


class Commands(Protocol):
    """What a server may do with commandable points (`PointSpec.command` set) and writable ones."""

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        """All or nothing; returns once accepted (the table already shows it).

        Raises:
            CommandRejected: with the reason; nothing was changed.
        """

    def slots(self, index: int) -> PriorityArray:
        """The priority array of a commandable point."""

    def default(self, index: int) -> Value | None:
        """Relinquish_Default, None while the point it refers to has no value."""


__all__ = ["Ask", "Clock", "Commands", "Listed", "PointSpec", "Reading", "Source", "WriteRequest"]
