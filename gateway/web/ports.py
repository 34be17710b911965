"""What the web listener asks of the rest of the gateway; every answer is JSON-ready.

The shapes of the answers are those of `openapi.yaml`, beside this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.errors import GatewayError
from gateway.core.priority import Origin
from gateway.web.session import Account

Row = list[Any]


class Unknown(GatewayError):
    """What was asked for does not exist, in words."""


class Unusable(GatewayError):
    """A request says something that means nothing, in words."""


class UserAccount(Account, Protocol):
    """A user with a password."""

    def matches(self, password: str) -> bool:
        """Whether this is the password; slow on purpose, so it is called beside the loop."""


class UserPort(Protocol):
    """The users of the page; every method may raise GatewayError, which lets nobody in."""

    def find(self, name: str) -> UserAccount | None: ...

    def everybody(self) -> Sequence[Account]: ...

    def nobody(self) -> UserAccount:
        """An account that costs as much to compare as a real one."""

    def set_password(self, name: str, password: str) -> None:
        """Raises Unusable in words when the password will not do."""


class AuditPort(Protocol):
    """Where logins are written down (evidence and log)."""

    def __call__(self, event: str, origin: Origin, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Which points: parts of the name (all must occur), source, kind, quality, ids; `offset` and `limit` of them."""

    search: str = ""
    source: str = ""
    kind: str = ""
    quality: str = ""
    ids: tuple[int, ...] | None = None
    offset: int = 0
    limit: int = 500


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records of the evidence: as `evidence show`, the newest `limit` of those before number `before`."""

    point: str = ""
    event: str = ""
    since: str = ""
    until: str = ""
    before: int | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True)
class File:
    """Something to save: its name, its media type and its content."""

    name: str
    media: str
    content: bytes


class PagePort(Protocol):
    """Everything the page shows and does. What does not exist raises Unknown, a refusal CommandRejected."""

    @property
    def local_slot(self) -> int:
        """The slot of who writes here without saying another one."""

    @property
    def generation(self) -> int:
        """Changes when points appear, move or get other names."""

    def overview(self) -> dict[str, Any]: ...

    def zones(self) -> list[dict[str, Any]]: ...

    async def points(self, selection: Selection) -> dict[str, Any]: ...

    def live(self, ids: Sequence[int]) -> list[Row]:
        """What changes of points: id, value, quality, reason, age in seconds, text of a state, forced."""

    def card_ids(self) -> frozenset[int]:
        """The points that cards show."""

    def detail(self, point: str) -> dict[str, Any]: ...

    def commands(self, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Every commandable point with its slots and receipt, or those that any of these ids belong to."""

    async def actions(self) -> list[dict[str, Any]]: ...

    def clients(self) -> dict[str, Any]: ...

    async def write(
        self, point: str, value: Any, origin: Origin, *, slot: int, until: float | None
    ) -> dict[str, Any]: ...

    async def act(self, point: str, code: Any, origin: Origin) -> dict[str, Any]: ...

    def force(self, point: str, value: Any, seconds: float, origin: Origin) -> dict[str, Any]: ...

    def unforce(self, point: str, origin: Origin) -> dict[str, Any]: ...

    async def history(self, point: str, since: float, until: float, most: int) -> dict[str, Any]: ...

    async def evidence(self, wanted: Filter) -> dict[str, Any]: ...

    async def verify(self) -> dict[str, Any]: ...

    async def evidence_csv(self, wanted: Filter) -> File: ...

    async def report(self, point: str, since: str, until: str) -> File: ...

    def downloads(self) -> list[dict[str, Any]]: ...

    async def download(self, name: str) -> File: ...

    def log(self, after: int) -> dict[str, Any]: ...
