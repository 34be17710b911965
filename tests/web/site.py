"""A whole site with its page, and a browser's requests to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.core.role import Role
from gateway.engine.ports import Clock
from gateway.store.users import UserBook
from tests.site import Running, running_site
from tests.web.rig import PAGE, PASSWORDS, ROLES

LIMIT = "evce/zone/Zone A/reduction"
CURRENT = "evce/zone/Zone A/current"


@dataclass
class Browser:
    """Somebody who is logged in."""

    client: aiohttp.ClientSession

    async def get(self, path: str, **query: Any) -> Any:
        """An answer that must be good, decoded."""
        async with self.client.get(f"/api/v1/{path}", params=query) as response:
            assert response.status == 200, await response.text()
            return await response.json(content_type=None)

    async def text(self, path: str, **query: Any) -> str:
        """An answer that must be good, as it is."""
        async with self.client.get(f"/api/v1/{path}", params=query) as response:
            assert response.status == 200, await response.text()
            return await response.text()

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        """A command, and the status it must have."""
        async with self.client.post(f"/api/v1/{path}", json=body) as response:
            text = await response.text()
            assert response.status == status, text
            return json.loads(text) if text else None

    async def command(self, point: str) -> Any:
        """One commandable point."""
        found = await self.get("commands")
        return next(row for row in found["commands"] if row["point"] == point)


@dataclass
class PageSite:
    """The running site; `log_in` opens browsers."""

    site: Running
    folder: Path
    stack: contextlib.AsyncExitStack

    @property
    def base(self) -> str:
        web = self.site.daemon.listeners.web
        assert web is not None
        return f"http://127.0.0.1:{web.port}"

    @property
    def users(self) -> UserBook:
        return UserBook(self.folder / "state")

    async def log_in(self, name: str) -> Browser:
        jar = aiohttp.CookieJar(unsafe=True)
        client = await self.stack.enter_async_context(aiohttp.ClientSession(self.base, headers=PAGE, cookie_jar=jar))
        async with client.post("/api/v1/login", json={"name": name, "password": PASSWORDS[name]}) as response:
            assert response.status == 200, await response.text()
        return Browser(client)

    async def evidence(self, browser: Browser, **query: Any) -> list[dict[str, Any]]:
        """Records, oldest first, once everything that was given is on the disk."""
        await self.site.daemon.journal.commit({}, ())
        found = await browser.get("evidence", **query)
        return list(reversed(found["records"]))


@contextlib.asynccontextmanager
async def page_site(
    folder: Path,
    dialect: str = "desc",
    *,
    change: Callable[[dict[str, Any]], None] = lambda _data: None,
    gateway_clock: Clock | None = None,
    **options: Any,
) -> AsyncIterator[PageSite]:
    """The site of `running_site` with a page and three users, every point read."""

    def with_page(data: dict[str, Any]) -> None:
        data["web"] = {"listen": "127.0.0.1:0"}
        change(data)

    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(
            running_site(folder, dialect, change=with_page, gateway_clock=gateway_clock, **options)
        )
        await site.complete()
        running = PageSite(site, folder, stack)
        for name, password in PASSWORDS.items():
            if name not in running.users.all():
                running.users.add(name, Role(ROLES[name]), password)
        yield running


def relist(one: PageSite) -> None:
    """The gateway asks the product for its zones now."""
    zone = next(r.kind for r in one.site.daemon.inventory.resources.values() if r.kind.name == "zone")
    one.site.daemon.pollers["evce"].relist(zone)


async def becomes(ask: Callable[[], Any], right: Callable[[Any], bool], seconds: float = 10.0) -> Any:
    """Asks until the answer is right."""
    deadline = time.monotonic() + seconds
    while not right(answer := await ask()):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
    return answer


def status(command: dict[str, Any]) -> str:
    return str(command["receipt"]["write_status"])
