"""Who is inside: clients are let in, counted, and made to leave for others.

Rules of this file: nobody outside every group comes in; a flood of connections pushes out itself and not the client
that polls, however seldom; at most one log line per host and reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from gateway.servers.modbus.groups import ClientGroup, find_group
from gateway.servers.modbus.house import Counters
from gateway.servers.modbus.pace import Pace

if TYPE_CHECKING:
    from gateway.servers.modbus.connection import Connection

REMEMBERED = 256
"""Hosts whose fault was logged once (beyond it the counters alone tell), or whose cap outlives their connections."""
log = structlog.get_logger("modbus")


class Door:
    """Everybody who is connected, with the limits of a server.

    Args:
        groups: who may connect.
        roles: role of a client's certificate -> name of a group.
        counters: what is counted.
        most: connections of all clients; most_of_one: of one address.
        on_stranger: told of the host of a client that no group has, and whether it came to the secure port.
    """

    def __init__(
        self,
        groups: Sequence[ClientGroup],
        roles: Mapping[str, str],
        counters: Counters,
        *,
        most: int,
        most_of_one: int,
        on_stranger: Callable[[str, bool], None] = lambda _host, _secure: None,
    ) -> None:
        self.groups, self._roles, self._counters = tuple(groups), roles, counters
        self._most, self._most_of_one = most, most_of_one
        self._on_stranger = on_stranger
        self._inside: dict[Connection, str] = {}
        self._hosts: dict[str, int] = {}
        self._paces: dict[tuple[str, float], Pace] = {}
        self._empty = asyncio.Event()
        self._named: set[tuple[str, str]] = set()

    @property
    def clients(self) -> list[dict[str, Any]]:
        """Who is connected: address, group, connected_s (seconds), and counts of requests, exceptions, writes."""
        return [
            {
                "address": client.address,
                "group": client.group.name,
                "connected_s": round(client.loop.time() - client.since, 1),
                "requests": client.requests,
                "exceptions": client.exceptions,
                "writes": client.writes,
            }
            for client in self._inside
        ]

    def admit(self, groups: Sequence[ClientGroup], roles: Mapping[str, str]) -> None:
        """Other groups and roles: whoever is inside is of the group that it would come in by now, or must go."""
        self.groups, self._roles = tuple(groups), roles
        for client, host in list(self._inside.items()):
            group = self._group(host, client.role)
            if group is None:
                self._counters.evicted += 1
                self._say_once("no group any more", host)
                client.abort()
            elif group != client.group:
                client.regroup(group)

    def limit(self, most: int, most_of_one: int) -> None:
        """Other limits, for newcomers."""
        self._most, self._most_of_one = most, most_of_one

    def _group(self, host: str, role: str | None) -> ClientGroup | None:
        groups = self.groups
        if role is not None:
            groups = tuple(group for group in groups if group.name == self._roles.get(role))
        return find_group(groups, host)

    def enter(self, client: Connection, host: str, role: str | None) -> ClientGroup | None:
        """Lets a newcomer in as a member of a group, at the cost of the least active one when it is full.

        `role` is None on the plain port; on the secure one only the group that it names is open.
        """
        group = self._group(host, role)
        if group is None:
            self._turn_away(host, secure=role is not None)
            return None
        if not self._has_room(host):
            self._counters.refused += 1
            return None
        self._counters.connections += 1
        self._inside[client] = host
        self._hosts[host] = self._hosts.get(host, 0) + 1
        return group

    def expects(self, host: str) -> bool:
        """Whether a host is in a group that some role names; whoever is not need not show a certificate."""
        named = {*self._roles.values()}
        expected = find_group([group for group in self.groups if group.name in named], host) is not None
        if not expected:
            self._turn_away(host, secure=True)
        return expected

    def _turn_away(self, host: str, *, secure: bool) -> None:
        self._counters.refused += 1
        self._say_once("refused", host)
        self._on_stranger(host, secure)

    def pace(self, client: Connection, per_s: float) -> Pace:
        """The cap that all connections of a client's address share, one after the other too."""
        capped = (self._inside[client], per_s)
        if capped not in self._paces:
            if len(self._paces) >= REMEMBERED:
                self._paces = {other: pace for other, pace in self._paces.items() if other[0] in self._hosts}
            self._paces[capped] = Pace(per_s, client.since)
        return self._paces[capped]

    def leave(self, client: Connection) -> None:
        """Forgets a client, known or not."""
        host = self._inside.pop(client, None)
        if host is not None:
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]
        if not self._inside:
            self._empty.set()

    def complain(self, address: str) -> None:
        """Names a host that sent something else than Modbus TCP, once."""
        self._say_once("not modbus", address.rpartition(":")[0])

    async def close(self) -> None:
        """Ends every connection at once and waits until all are gone."""
        for client in list(self._inside):
            client.abort()
        if self._inside:
            self._empty.clear()
            await self._empty.wait()

    def _has_room(self, host: str) -> bool:
        """Whether one more of this host may enter, for which its own least active one leaves before another's."""
        if self._hosts.get(host, 0) >= self._most_of_one:
            mine = [client for client, other in self._inside.items() if other == host]
            return self._close_one(mine, "too many connections of one address", host)
        return len(self._inside) < self._most or self._close_one(self._inside, "connection limit", "")

    def _close_one(self, clients: Iterable[Connection], why: str, host: str) -> bool:
        """Closes one without a pending write.

        Those that never asked anything come first, then those of hosts with more than their share, then all others;
        among equals whoever was silent longest.
        """
        idle = [client for client in clients if not client.busy]
        if not idle:
            return False
        share = self._most // len(self._hosts)
        oldest = min(
            idle,
            key=lambda client: (client.requests > 0, self._hosts[self._inside[client]] <= share, client.last),
        )
        self._counters.evicted += 1
        self._say_once(why, host)
        self.leave(oldest)
        oldest.abort()
        return True

    def _say_once(self, what: str, host: str) -> None:
        if (what, host) not in self._named and len(self._named) < REMEMBERED:
            self._named.add((what, host))
            log.warning(what, host=host, limit=self._most)
