"""`reload` and the logins: passwords are read again and refused logins tried; a broken file changes nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from gateway.simulator import Simulator
from tests.site import PASSWORD, AheadClock, Running, running_site, until

OTHER = "Another-2026!"


async def cli(running: Running, *arguments: str) -> Any:
    """One command beside the running gateway: exit code, standard output, standard error."""
    return await asyncio.to_thread(_call, [*arguments, "-c", str(running.files.config)])


def _call(arguments: list[str]) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "gateway", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    return done.returncode, done.stdout, done.stderr


def logins(sim: Simulator) -> list[int]:
    path = sim.base + ("/login/login" if sim.kind == "evce" else "/login")
    return [item.status for item in sim.received if item.path == path]


async def test_U12_a_rotated_password_is_read_again_and_tried_at_once(tmp_path):
    clock = AheadClock()
    async with running_site(tmp_path, gateway_clock=clock, stations=2, zones=1, meters=1) as running:
        await running.complete()
        health = running.daemon.pollers["evce"].health
        await running.evce.do("set_password", password=OTHER)
        await until(lambda: health.state == "refused")
        clock.ahead_s += 61
        await until(lambda: "mend it, then `evce-gateway reload`" in health.reason)
        assert logins(running.evce) == [200, 401, 401]
        (tmp_path / "password").write_text(OTHER)
        code, out, err = await cli(running, "reload")
        assert (code, err) == (0, "")
        assert out.splitlines()[:2] == [
            "evce: the new password in password is used from the next login on",
            "evce: its login was refused; it is tried again now",
        ]
        await until(lambda: health.connected)
        assert logins(running.evce) == [200, 401, 401, 200]
        assert OTHER not in out + err


async def test_U09_mended_at_the_product_a_reload_is_enough(tmp_path):
    async with running_site(tmp_path, password="Wrong-2026!!", stations=1, zones=1, meters=0) as running:
        health = running.daemon.pollers["evce"].health
        await until(lambda: health.state == "refused")
        await running.evce.do("set_password", password=PASSWORD)
        code, out, _ = await cli(running, "reload")
        assert code == 0
        assert "evce: the password in password is the same as before" in out
        await until(lambda: health.connected)


async def test_U10_a_reload_ends_the_wait_for_a_blocked_account(tmp_path):
    async with running_site(tmp_path, stations=1, zones=1, meters=0) as running:
        await until(lambda: running.daemon.pollers["evce"].health.connected)
        await running.evce.do("block")
        await running.evce.do("revoke")
        health = running.daemon.pollers["evce"].health
        await until(lambda: health.state == "refused")
        code, out, _ = await cli(running, "status")
        assert code == 0
        assert "login refused since" in out
        assert "user account blocked: too many invalid login attempts" in out
        assert "alarms 1" in out
        await running.evce.do("unblock")
        assert (await cli(running, "reload"))[0] == 0
        await until(lambda: health.connected)


async def test_another_state_dir_needs_a_restart_and_passwords_are_read_all_the_same(tmp_path):
    async with running_site(tmp_path, stations=1, zones=1, meters=0) as running:
        await until(lambda: running.daemon.pollers["evce"].health.connected)
        running.files.data["site"] = "Another name"
        running.files.data["state_dir"] = "elsewhere"
        (tmp_path / "elsewhere").symlink_to(tmp_path / "state")
        running.files.write()
        (tmp_path / "password").write_text(OTHER)
        code, out, err = await cli(running, "reload")
        assert code == 4
        assert "evce: the new password in password is used from the next login on" in out
        shown = [line.rpartition("/")[2] for line in err.splitlines()]
        assert shown == [
            "config.yaml:2:12: state_dir: another state_dir needs a restart of the gateway",
            "nothing of the files was taken over: what ran before goes on",
        ]
        assert running.daemon.site.config.site == "Test car park"
        assert running.daemon.pollers["evce"].health.connected


async def test_H04_a_broken_file_leaves_what_runs_as_it_is_and_names_the_place(tmp_path):
    async with running_site(tmp_path, stations=1, zones=1, meters=0) as running:
        await until(lambda: running.daemon.pollers["evce"].health.connected)
        text = running.files.config.read_text()
        running.files.config.write_text(text + "nonsense: 1\n")
        line = len(text.splitlines()) + 1
        refused = (await running.daemon.reload("SIGHUP")).refused
        assert f"config.yaml:{line}:1: nonsense" in refused[0]
        assert refused[1:] == ["nothing of the files was taken over: what ran before goes on"]
        assert f"config.yaml:{line}:1: nonsense" in str(running.daemon.alarms.text("reload"))
        code, out, err = await cli(running, "reload")
        assert code == 4
        assert "evce: the password in password is the same as before" in out
        assert f"config.yaml:{line}:1: nonsense" in err
        running.files.config.write_text("state_dir: state\nsources: [\n")
        code, _, err = await cli(running, "reload")
        assert code == 4
        assert "config.yaml:3:1" in err
        assert running.daemon.pollers["evce"].health.connected
        running.files.config.write_text(text)
        code, out, err = await cli(running, "reload")
        assert (code, err) == (0, "")
        assert "the files say what is running already" in out
        assert running.daemon.alarms.text("reload") is None


async def test_H04_a_broken_mapping_is_refused_with_its_place(tmp_path):
    mapping = tmp_path / "own.yaml"

    def change(data: dict[str, Any]) -> None:
        mapping.write_text(f"extends: {data['sources'][0]['mapping']}\n")
        data["sources"][0]["mapping"] = "own.yaml"

    async with running_site(tmp_path, change=change, stations=1, zones=1, meters=0) as running:
        await running.complete()
        hash_before = running.daemon.map_hash()
        mapping.write_text(mapping.read_text() + 'resources: {zone: {points: {power: {path: "["}}}}\n')
        refused = (await running.daemon.reload("SIGHUP")).refused
        assert "own.yaml:2:" in refused[0]
        assert "resources.zone.points.power" in refused[0]
        assert running.daemon.map_hash() == hash_before
        assert running.value("evce/zone/Zone A/power") is not None


async def test_a_password_that_cannot_be_read_any_more_stays_in_use(tmp_path):
    async with running_site(tmp_path, stations=1, zones=1, meters=0) as running:
        await until(lambda: running.daemon.pollers["evce"].health.connected)
        (tmp_path / "password").unlink()
        code, _, err = await cli(running, "reload")
        assert code == 4
        assert "evce: the old password stays in use" in err
        await running.evce.do("revoke")
        await until(lambda: logins(running.evce) == [200, 200])


async def test_U12_a_systemd_credential_needs_a_restart_and_says_so(tmp_path, monkeypatch):
    def change(data: dict[str, Any]) -> None:
        data["sources"][0]["password"] = {"credential": "password"}

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    async with running_site(tmp_path, change=change, password=OTHER, stations=1, zones=1, meters=0) as running:
        health = running.daemon.pollers["evce"].health
        await until(lambda: health.state == "refused")
        running.daemon.pollers["evce"].retry()
        await until(lambda: len(logins(running.evce)) == 2)
        assert "refused; next try" in health.reason
        done = (await running.daemon.reload("anna")).done
        assert done[0] == (
            "evce: a systemd credential is only read at start: restart the service to use another password"
        )
        assert running.daemon.logins._passwords["evce"].mend().endswith("a credential is only read at start")


async def test_reload_without_a_running_gateway_is_3(tmp_path):
    async with running_site(tmp_path, stations=1, zones=1, meters=0) as running:
        files = running.files
    code, _, err = await cli(running, "reload")
    assert files.config.exists()
    assert code == 3
    assert "no gateway answers" in err
