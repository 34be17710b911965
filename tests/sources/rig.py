"""A hand-set clock, a token store that remembers, and what a simulator received."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from gateway.mapping import load_mapping
from gateway.simulator import Simulator
from gateway.sources import Http
from gateway.sources.http import CONNECT_S, TOTAL_S

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
DIALECTS = {"desc": "evce.yaml", "nested": "evce-nested.yaml"}
PASSWORD = "Charging-2026!"


class HandClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_790_000_000.0 + self.now


class Tokens:
    """Keeps tokens, and every change of them."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.saved: list[str | None] = []

    def load_token(self, source: str) -> str | None:
        return self.token

    def save_token(self, source: str, token: str | None) -> None:
        self.token = token
        self.saved.append(token)


def limit(path: Http, *, connect_s: float = CONNECT_S, total_s: float = TOTAL_S) -> None:
    """Other time limits from here on: short ones for a fault alone, so that nothing beside it ends at them."""
    path._timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s)
    path._total_s, path._connect_s = total_s, connect_s


def sent(sim: Simulator, path: str) -> list[int]:
    """The statuses of every write request to a path."""
    return [request.status for request in sim.received if request.path == sim.base + path]


def logins(sim: Simulator) -> list[int]:
    return sent(sim, "/login/login" if sim.kind == "evce" else "/login")


def kinds(dialect: str) -> Any:
    product, faults = load_mapping(MAPPINGS / DIALECTS.get(dialect, dialect))
    assert product is not None, faults
    return product.product.kinds
