"""Fixtures of the web listener's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.store import users
from tests.web.rig import Stand, stand
from tests.web.site import page_site


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of access hashes a dozen passwords; each would cost a tenth of a second."""
    monkeypatch.setattr(users, "COST", 2**10)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Stand]:
    """A listener without TLS."""
    async with stand(tmp_path) as running:
        yield running


@pytest.fixture(params=["desc", "nested"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    async with page_site(tmp_path, request.param) as running:
        yield running


@pytest.fixture
async def one(tmp_path: Path) -> Any:
    async with page_site(tmp_path) as running:
        yield running
