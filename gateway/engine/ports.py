"""What the engine asks of the outside: a clock, sources, and what it offers to servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.point import ActionSpec, CommandSpec, FollowSpec, ListSpec, MembersSpec, PointSpec, ReadSpec
from gateway.core.priority import Origin, PriorityArray
from gateway.core.value import Value


class Clock(Protocol):
    """Time, injected everywhere: `monotonic()` in seconds for ages and timers, `wall()` as Unix time."""

    def monotonic(self) -> float: ...

    def wall(self) -> float: ...


class BootClock(Clock, Protocol):
    """A clock that can also tell what time a restart took (C11)."""

    def boottime(self) -> float:
        """Seconds since the machine booted, sleep included."""

    def boot_id(self) -> str:
        """Names this boot of the machine, "" when the machine does not say."""

    def synchronised(self) -> bool:
        """Whether `wall` is kept right by a time server; False when nobody can tell."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One item of a list answer: its id as text, its name ("" if it has none), and the guard if the mapping has one."""

    id: str
    name: str
    guard: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Under what an answer was asked for: the session's number and the (monotonic) time the request left."""

    session: int
    began: float


@dataclass(frozen=True, slots=True)
class Answered:
    """What a GET was answered, decoded (None where the mapping allows none), and the monotonic time it came."""

    document: Any
    time: float


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One body to send upstream, in session number `session` and in no other.

    `path_values` fill `{id}` and `{parent.id}`; `values` fill `{value}` `{default}` and `{point:NAME}`; `end` is the
    product's own time (Unix) at which it shall forget the value by itself, None unless the command says `valid_for_s`.
    """

    command: CommandSpec
    release: bool
    path_values: Mapping[str, str]
    values: Mapping[str, Value]
    session: int
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a product answered (2xx) to a command: decoded JSON (None without a body), and the same in words."""

    document: Any
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """The body of one code of an action, to be sent once, in session number `session` and in no other."""

    action: ActionSpec
    code: int
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

    @property
    def certificate(self) -> str | None:
        """`sha256:...` of the certificate the product last presented; None before a connection and on plain http."""

    @property
    def certificate_ends(self) -> float | None:
        """Unix time at which that certificate expires; None where there is none."""

    @property
    def needs_request(self) -> bool:
        """Whether the product would soon end the session for want of a request."""

    @property
    def renewal_due(self) -> bool:
        """Whether the session's lifetime is almost over."""

    async def open(self) -> None:
        """Logs in unless there is a session."""

    async def renew(self) -> None:
        """Logs out and in again between requests, if that is due; requests that come meanwhile wait."""

    def retry(self) -> None:
        """A refused login may be tried again at once: a person says that it is mended."""

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

    def answers(self) -> Mapping[str, Answered]:
        """The newest answer to each GET of lists, members and reads, by its path; nothing of logins is among them."""

    def preview(self, request: WriteRequest | ActionRequest) -> str:
        """What `write` or `act` would send, in words: method, path and body; nothing is sent."""

    async def write(self, request: WriteRequest) -> Written:
        """Sends a command's body once; returns the product's answer.

        Raises:
            SessionLost: the request's session is over; nothing was sent, or the product refused it unread.
            NothingSent: a placeholder of the body has no value; NotMergeable: nor will it have one by waiting.
        """

    async def act(self, request: ActionRequest) -> Written:
        """Sends the body of an action's code once; raises as `write`."""

    async def outcome(self, follow: FollowSpec, path_values: Mapping[str, str], result: str) -> str | None:
        """What the product says now of an action that answered `result`, as JSON text; None when it says nothing."""

    def product_clock(self) -> float | None:
        """Seconds that the product's wall clock is ahead of ours, by its newest answer; None if it never said."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One write of a client: a table index, a value (None releases), and the slot it stands for.

    `until` (Unix time) ends what the page or the CLI wrote; None there means in an hour. Other protocols give none.
    """

    index: int
    value: Value | None
    slot: int
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event in the life of a command; the store adds seq, UTC time and the hash of the record before it.

    `event`: accepted, refused, released, sent, verified, failsafe, ... in words of DESIGN 5. `old` and `new` are in
    the point's unit (text of the JSON value, "" for none); `answer` is what the product said; `applied` what it holds.
    """

    event: str
    point: str
    origin: Origin
    slot: int = 0
    old: str = ""
    new: str = ""
    answer: str = ""
    applied: str = ""


OnRefused = Callable[[str, Origin, str], None]
"""Told of a write that a server refused before it was a command: where, by whom, and why."""


class Journal(Protocol):
    """What must survive `kill -9`: the newest state of each key (JSON-ready, None forgets it) and the evidence.

    Keys are `<source>/<kind>/<block>/<point>`, so that a renamed resource keeps its state.
    """

    @property
    def fault(self) -> str:
        """Why what was accepted is not on the disk, in words; "" when everything is (C16)."""

    def restored(self) -> Mapping[str, Any]:
        """The states that the last run left, by key."""

    async def commit(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> bool:
        """Returns True once both are on the disk, in the order of the calls; False after 500 ms without that.

        Then `fault` is set before this returns, and what was given stays queued until the disk takes it.
        """

    def note(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> None:
        """As commit, for what nobody waits for (a result, a saved lease)."""


class Actions(Protocol):
    """One-shot commands, whose writes come in the same requests as those of commandable points."""

    def owns(self, index: int) -> bool:
        """Whether the point is an action's code."""

    def judge(self, ask: Ask, origin: Origin) -> bool:
        """Whether accepting this write would fire now.

        Raises:
            CommandRejected: it would not be accepted; that is written down.
        """

    async def accept(self, asks: Sequence[Ask], origin: Origin) -> None:
        """Takes judged writes, all before it first waits; returns once they are on the disk."""


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

    def heartbeat(self, group: str, value: int) -> None:
        """A client group (`Origin.group`) wrote its heartbeat; only a value that changes is a sign of life (C04)."""

    def heartbeat_of(self, group: str) -> tuple[int, float | None]:
        """The group's last heartbeat value (0 before any) and seconds since it last changed, None before it did."""


__all__ = [
    "ActionRequest",
    "Actions",
    "Ask",
    "BootClock",
    "Clock",
    "Commands",
    "Evidence",
    "Journal",
    "Listed",
    "PointSpec",
    "Reading",
    "Source",
    "WriteRequest",
    "Written",
]
