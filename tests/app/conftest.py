"""Every site of these tests has its control socket in its own state directory."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
