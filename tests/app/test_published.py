"""A published map in a gateway that runs, is restarted and reloaded: the addresses a BMS reads stay what they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pyModbusTCP.client import ModbusClient

from gateway.addressing.served import ServedPoint
from gateway.app.daemon import Daemon
from gateway.app.kept import site_to_run
from gateway.app.published import publish_running
from gateway.cli import main
from gateway.core.errors import ConfigError
from gateway.store.published import load_accepted, load_published, point_data, save_accepted
from tests.site import DIALECTS, MAPPINGS, Running, running_site, until

POINT = "evce/zone/Zone A/power"
SMALL = {"stations": 1, "zones": 1, "meters": 0}


def own_mapping(folder: Path, dialect: str) -> Callable[[dict[str, Any]], None]:
    """Lets the site use copies of the mappings, which a test may edit."""

    def change(data: dict[str, Any]) -> None:
        for name in DIALECTS.values():
            shutil.copy(MAPPINGS / name, folder / name)
        (folder / "our.yaml").write_text(f"extends: {DIALECTS[dialect]}\n")
        data["sources"][0]["mapping"] = "our.yaml"

    return change


def move_power(folder: Path, dialect: str, at: int = 20) -> None:
    text = f"extends: {DIALECTS[dialect]}\nresources:\n  zone:\n    points:\n"
    (folder / "our.yaml").write_text(text + f"      power: {{modbus: {{at: {at}, type: float32}}}}\n")


async def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    def call() -> int:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert isinstance(ended.value.code, int)
        return ended.value.code

    capsys.readouterr()
    code = await asyncio.to_thread(call)
    said = capsys.readouterr()
    return code, said.out, said.err


@contextlib.asynccontextmanager
async def again(site: Running, *, accept_moves_of: str = "") -> AsyncIterator[Daemon]:
    """The gateway of the same files, started anew as `run` starts it."""
    site.daemon.stop()
    await until(lambda: not site.files.folder.joinpath("state/control.sock").exists())
    lock = site.daemon.store
    await until(lambda: lock._lock is None)
    found, moved = await asyncio.to_thread(lambda: site_to_run(site.files.config, accept_moves_of=accept_moves_of))
    daemon = Daemon(found, moved=moved)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(daemon.run(signals=False))
        await until(lambda: daemon.ready.is_set() or task.done())
        try:
            yield daemon
        finally:
            daemon.stop()
            await asyncio.wait({task})


async def reads(daemon: Daemon, register: int) -> list[int] | None:
    assert daemon.modbus is not None
    client = ModbusClient("127.0.0.1", daemon.modbus.port, unit_id=1, timeout=5, auto_open=True)
    try:
        return await asyncio.to_thread(client.read_holding_registers, register, 2)
    finally:
        client.close()


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_H06_a_start_with_moved_addresses_serves_what_was_served(
    tmp_path: Path, dialect: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_site(tmp_path, dialect, change=own_mapping(tmp_path, dialect), **SMALL) as site:  # type: ignore[arg-type]
        await site.complete()
        config = str(site.files.config)
        register = site.register(POINT)
        code, out, _ = await cli(capsys, "addresses", "publish", "-c", config)
        assert code == 0
        assert "published: map " in out
        published = load_published(tmp_path / "state")
        assert published is not None
        assert published.map_hash == f"{site.daemon.map_hash():016x}"
        code, out, _ = await cli(capsys, "plan", "-c", config)
        assert code == 0
        assert "compared with the running gateway" in out
        assert "no difference" in out

        move_power(tmp_path, dialect)
        code, out, err = await cli(capsys, "plan", "-c", config)
        assert code == 4
        assert f"moved: {POINT}: register 1/{register} float32 becomes register 1/" in err

        async with again(site) as daemon:
            assert daemon.map_hash() == int(published.map_hash, 16)
            index = daemon.table.find(POINT)
            assert index is not None
            assert daemon.placed[index].registers[0].register == register
            await until(lambda: daemon.table.good_value(index) is not None)
            (text,) = [text for text in daemon.alarms.texts().values() if "published addresses" in text]
            assert f"{POINT}: register 1/{register} float32 becomes" in text
            assert "what was served last runs on instead: mend the files, or say --accept-moves" in text
            assert await reads(daemon, register) not in (None, [0xFFFF, 0xFFFF])
            code, out, _ = await cli(capsys, "status", "-c", config)
            assert "the files would move published addresses" in out

        (tmp_path / "our.yaml").write_text(f"extends: {DIALECTS[dialect]}\n")
        async with again(site) as daemon:
            assert not [text for text in daemon.alarms.texts().values() if "published addresses" in text]


async def test_the_map_is_written_down_and_published_beside_the_event_loop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[threading.Thread] = set()

    def noted(data: Callable[[ServedPoint], dict[str, Any]]) -> Callable[[ServedPoint], dict[str, Any]]:
        def note(point: ServedPoint) -> dict[str, Any]:
            threads.add(threading.current_thread())
            return data(point)

        return note

    async with running_site(tmp_path, "desc", **SMALL) as site:
        for place in ("gateway.app.control.point_data", "gateway.store.published.point_data"):
            monkeypatch.setattr(place, noted(point_data))
        for command in (("plan", "--json"), ("addresses", "publish")):
            threads.clear()
            code, _, _ = await cli(capsys, *command, "-c", str(site.files.config))
            assert code == 0
            assert threads
            assert threading.main_thread() not in threads


async def test_H06_accept_moves_at_the_start_publishes_the_new_map(tmp_path: Path) -> None:
    async with running_site(tmp_path, change=own_mapping(tmp_path, "desc"), **SMALL) as site:  # type: ignore[arg-type]
        await site.complete()
        register = site.register(POINT)
        site.daemon.kept.close()
        await publish_running(site.daemon, user="anna", accept_moves=False)
        move_power(tmp_path, "desc")
        async with again(site, accept_moves_of="anna") as daemon:
            index = daemon.table.find(POINT)
            assert index is not None
            assert daemon.placed[index].registers[0].register == register + 12
            published = load_published(tmp_path / "state")
            assert published is not None
            assert (published.map_hash, published.user) == (f"{daemon.map_hash():016x}", "anna")
        assert site_to_run(site.files.config)[1] == ""


async def test_H06_without_kept_files_the_start_is_refused_with_the_difference(tmp_path: Path) -> None:
    async with running_site(tmp_path, change=own_mapping(tmp_path, "desc"), **SMALL) as site:  # type: ignore[arg-type]
        await site.complete()
        await publish_running(site.daemon, user="anna", accept_moves=False)
    move_power(tmp_path, "desc")
    for name in ("accepted.json", "accepted.json.1"):
        (tmp_path / "state" / name).unlink()
    with pytest.raises(ConfigError, match=f"{POINT}: a published address is moved: register 1/1008 float32 becomes"):
        site_to_run(site.files.config)


async def test_what_was_served_last_is_kept_beside_the_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_site(tmp_path, change=own_mapping(tmp_path, "desc"), **SMALL) as site:  # type: ignore[arg-type]
        await site.complete()
        await until(lambda: load_accepted(tmp_path / "state") is not None)
    accepted = load_accepted(tmp_path / "state")
    assert accepted is not None
    assert accepted.map_hash == f"{site.daemon.map_hash():016x}"
    names = {Path(path).name for path in accepted.files}
    assert names == {"config.yaml", "our.yaml", "evce.yaml", "bender.yaml"}
    assert "Charging-2026!" not in (tmp_path / "state" / "accepted.json").read_text()
    move_power(tmp_path, "desc")
    code, out, _ = await cli(capsys, "plan", "-c", str(site.files.config), "--json")
    plan = json.loads(out)
    assert (code, plan["against"], plan["refused"]) == (0, "the map served last", [])
    assert plan["map_hash"]["before"] == accepted.map_hash
    assert [one["what"] for one in plan["differences"]] == ["moved"]


async def test_H06_a_reload_with_moved_addresses_is_refused_until_it_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_site(tmp_path, change=own_mapping(tmp_path, "desc"), **SMALL) as site:  # type: ignore[arg-type]
        await site.complete()
        config = str(site.files.config)
        register, before = site.register(POINT), site.daemon.map_hash()
        assert (await cli(capsys, "addresses", "publish", "-c", config))[0] == 0
        move_power(tmp_path, "desc")
        code, _, err = await cli(capsys, "reload", "-c", config)
        assert code == 4
        assert f"{POINT}: a published address is moved: register 1/{register} float32 becomes" in err
        assert (site.register(POINT), site.daemon.map_hash()) == (register, before)
        code, _, err = await cli(capsys, "reload", "--accept-moves", "-c", config)
        assert (code, err) == (0, "")
        assert site.register(POINT) == register + 12
        published = load_published(tmp_path / "state")
        assert published is not None
        assert published.map_hash == f"{site.daemon.map_hash():016x}" != f"{before:016x}"


async def test_H03_a_damaged_published_map_is_mended_with_an_alarm(tmp_path: Path) -> None:
    async with running_site(tmp_path, change=own_mapping(tmp_path, "desc"), **SMALL) as site:  # type: ignore[arg-type]
        await site.complete()
        await publish_running(site.daemon, user="anna", accept_moves=False)
        (tmp_path / "state" / "published.json").write_text("{")
        async with again(site) as daemon:
            await until(lambda: any("written anew from its copy" in text for text in daemon.alarms.texts().values()))
        state = tmp_path / "state"
        assert (state / "published.json").read_bytes() == (state / "published.json.1").read_bytes()
        assert (state / "published.json.broken").read_text() == "{"


async def test_H03_kept_files_that_are_damaged_twice_are_written_anew(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running_site(tmp_path, "desc", **SMALL) as site:
        await until(lambda: load_accepted(state) is not None)
        site.daemon.kept.close()
        before = (state / "accepted.json").read_bytes()
        for name in ("accepted.json", "accepted.json.1"):
            (state / name).write_bytes(b"\xff\xfe{")
        site.daemon.kept.close()
        assert (state / "accepted.json").read_bytes() == (state / "accepted.json.1").read_bytes() == before


async def test_H16_kept_files_of_a_newer_gateway_are_an_alarm_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    async with running_site(tmp_path, "desc", **SMALL) as site:
        await site.complete()
        await until(lambda: load_accepted(state) is not None)
        site.daemon.stop()
        await until(lambda: site.daemon.store._lock is None)
        accepted = load_accepted(state)
        assert accepted is not None
        monkeypatch.setattr("gateway.store.published.VERSION", 2)
        save_accepted(state, accepted)
        monkeypatch.undo()
        async with again(site) as daemon:
            await until(lambda: any("written by a newer gateway" in text for text in daemon.alarms.texts().values()))
            await until(lambda: daemon.map_hash() == site.daemon.map_hash())


async def test_an_export_says_when_the_running_gateway_serves_another_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_site(tmp_path, change=own_mapping(tmp_path, "desc"), **SMALL) as site:  # type: ignore[arg-type]
        await site.complete()
        config = str(site.files.config)
        code, _, err = await cli(capsys, "export", "points", "-o", str(tmp_path / "p.json"), "-c", config)
        assert (code, err) == (0, "")
        move_power(tmp_path, "desc")
        code, _, err = await cli(capsys, "export", "points", "-o", str(tmp_path / "p.json"), "-c", config)
        assert code == 0
        written = json.loads((tmp_path / "p.json").read_text())["map_hash"]
        assert (
            err
            == f"these files say map {written}, the running gateway serves {site.daemon.map_hash():016x}: see `plan`\n"
        )
