"""A site with nasty names in every kind, not running: config.yaml and an address book."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.addressing import Entry
from gateway.app.load import Site, load_site
from gateway.store import Store

MAPPINGS = Path(__file__).parents[2] / "mappings"
DIALECTS = {"desc": "evce.yaml", "nested": "evce-nested.yaml"}
ZONES = ["Zone A", "=1+1", "@cmd|\"' /C calc", "<b>Ä & |co*_l`</b>"]
STATIONS = ["-5 Bay", "+Bay/2", "Bay;3, 'x'"]

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSite:
    """Makes the site with an EVCE of one dialect and a Bender controller, its units and devices as asked."""
    monkeypatch.setenv("PASSWORD", "x")

    def make(dialect: str = "desc", units: str = "one", devices: str = "one", **modbus: Any) -> Site:
        login = {"username": "u", "password": {"env": "PASSWORD"}}
        evce = {"name": "evce", "kind": "evce", "url": "http://127.0.0.1:1", **login}
        bender = {"name": "garage-7", "kind": "bender", "url": "http://127.0.0.1:2", **login}
        data = {
            "site": "Head Office; <Nord>",
            "state_dir": "state",
            "sources": [
                evce | {"mapping": str(MAPPINGS / DIALECTS[dialect]), "expect": {"zone": ZONES}},
                bender | {"mapping": str(MAPPINGS / "bender.yaml")},
            ],
            "modbus": {"listen": "127.0.0.1:5020", "units": units, **modbus},
            "bacnet": {
                "address": "127.0.0.1/8:47808",
                "device": {"instance": 260001},
                "devices": devices,
                **({"network": 7, "first_instance": 300000} if devices == "per_resource" else {}),
            },
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
        (tmp_path / "state").mkdir(exist_ok=True)
        entries = [Entry("evce", "station", name, str(n), n) for n, name in enumerate(STATIONS)]
        entries += [Entry("evce", "connector", f"{name}#1", "1", n) for n, name in enumerate(STATIONS)]
        Store(tmp_path / "state").save_addresses([*entries, Entry("evce", "meter", "Main\nmeter", "1", 0)])
        return load_site(tmp_path / "config.yaml")

    return make
