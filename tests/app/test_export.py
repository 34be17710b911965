"""Exports of a gateway that runs: made beside the event loop, while the map may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import export, plant
from gateway.app.export import map_spec
from tests.site import running_site

SMALL = {"stations": 1, "zones": 1, "meters": 0}


async def test_a_map_that_changes_meanwhile_is_not_exported_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_site(tmp_path, "desc", **SMALL) as site:
        await site.complete()
        daemon, true = site.daemon, site.daemon.map_hash()

        def change(*_row: object) -> dict[str, object]:
            daemon._hash = [1]
            return {}

        monkeypatch.setattr(export, "point_row", change)
        with pytest.raises(RuntimeError, match="changed while it was written down"):
            map_spec(daemon, daemon.bacnet, 0.0)
        monkeypatch.undo()
        daemon._hash = []
        assert map_spec(daemon, daemon.bacnet, 0.0).head.map_hash == f"{true:016x}"


async def test_a_hash_that_was_begun_before_a_change_does_not_outlive_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_site(tmp_path, "desc", **SMALL) as site:
        await site.complete()
        daemon, true = site.daemon, site.daemon.map_hash()
        resource = next(iter(daemon.inventory.resources.values()))
        daemon._on_placed(resource, [])

        def late(_points: object) -> int:
            monkeypatch.undo()
            daemon._on_placed(resource, [])  # as the event loop would while another thread is at work
            return 1

        monkeypatch.setattr(plant, "map_hash", late)
        assert daemon.map_hash() == 1
        assert daemon.map_hash() == true
