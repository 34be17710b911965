"""/metrics and /healthz of a whole gateway, as a monitoring system reads them."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pyModbusTCP.client import ModbusClient

from gateway.app.control import Control
from gateway.core.hints import HINTS
from tests.site import PASSWORD, Running, free_port, running_site, until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_control_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)


def with_web(port: int, allow: list[str]) -> Any:
    def change(data: dict[str, Any]) -> None:
        data["web"] = {"listen": f"127.0.0.1:{port}", "metrics_allow": allow}

    return change


async def fetch(port: int, path: str = "/metrics") -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, response.headers["Content-Type"], await response.text()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[f"evce_gateway_{name}", frozenset(labels.items())]


async def test_metrics_tell_of_sources_points_commands_clients_and_the_loop(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    change = with_web(port, ["127.0.0.0/8"])
    async with running_site(tmp_path, stations=2, zones=2, meters=0, change=change) as site:
        await site.complete()
        control = Control(site.daemon)
        await control.write("evce/zone/Zone A/reduction", 40.0, None, "anna", until=None)
        await until(lambda: site.value("evce/zone/Zone A/reduction.write_status") == 4)
        await read_and_refuse(site)
        site.daemon.observatory.tick()
        status, kind, text = await fetch(port)
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        info = next(
            family for family in text_string_to_metric_families(text) if family.name == "evce_gateway_build_info"
        )
        assert info.samples[0].labels["map_hash"] == f"{site.daemon.map_hash():016x}"
        for source in ("evce", "garage-7", "garage-8"):
            assert value(text, "source_up", source=source) == 1
            assert value(text, "source_state", source=source, state="up") == 1
            assert value(text, "source_poll_seconds_count", source=source) > 0
        assert value(text, "points", quality="good") > 100
        assert value(text, "commands", write_status="in_force") == 1
        assert value(text, "command_events_total", event="accepted", protocol="cli") == 1
        assert value(text, "journal_commit_seconds_count") >= 1
        assert value(text, "requests_total", protocol="modbus", function="3") == 2
        assert value(text, "exceptions_total", protocol="modbus", code="2") == 1
        assert value(text, "clients", protocol="modbus") == 1
        assert value(text, "hints", hint="one_based") == 1
        assert value(text, "loop_lag_seconds_bucket", le="+Inf") == value(text, "loop_lag_seconds_count")
        assert value(text, "bacnet_objects") > 50
        assert (await fetch(port, "/healthz"))[::2] == (200, "ok\n")


async def read_and_refuse(site: Running) -> None:
    """A good read, and one that begins one register too low."""
    client = ModbusClient("127.0.0.1", site.modbus_port)
    assert await asyncio.to_thread(client.read_holding_registers, 1000, 60)
    assert await asyncio.to_thread(client.read_holding_registers, 999, 60) is None
    await asyncio.to_thread(client.close)


async def test_labels_are_bounded_and_nothing_is_a_secret(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    async with running_site(tmp_path, stations=2, zones=2, meters=0, change=with_web(port, ["127.0.0.1"])) as site:
        await site.complete()
        _, _, text = await fetch(port)
        assert PASSWORD not in text
        assert "Zone A" not in text
        assert "127.0.0.1" not in text
        hints = {dict(labels)["hint"] for name, labels in samples(text) if name == "evce_gateway_hints"}
        assert hints == set(HINTS)


async def test_readme_lists_every_metric(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    async with running_site(tmp_path, stations=1, zones=1, meters=0, change=with_web(port, ["127.0.0.1"])):
        _, _, text = await fetch(port)
    found = {f.name.removeprefix("evce_gateway_") for f in text_string_to_metric_families(text) if "evce_" in f.name}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in found if f"`{name}`" not in readme} == set()


async def test_only_allowed_networks_may_read_metrics_and_everybody_healthz(tmp_path: Path) -> None:
    port, nobody = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)

    def change(data: dict[str, Any]) -> None:
        with_web(port, ["10.0.0.0/8"])(data)
        data["sources"].append(data["sources"][-1] | {"name": "gone", "url": f"http://127.0.0.1:{nobody}"})

    async with running_site(tmp_path, stations=1, zones=1, meters=0, change=change) as site:
        status, _, text = await fetch(port)
        assert status == 403
        assert "web.metrics_allow" in text
        assert "evce_" not in text
        await until(lambda: site.daemon.pollers["evce"].health.connected)
        assert (await fetch(port, "/healthz"))[::2] == (503, "degraded\n")
