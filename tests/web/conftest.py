"""Fixtures of the web listener's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store import users
from tests.web.rig import Stand, stand


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of access hashes a dozen passwords; each would cost a tenth of a second."""
    monkeypatch.setattr(users, "COST", 2**10)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Stand]:
    """A listener without TLS."""
    async with stand(tmp_path) as running:
        yield running
