"""The gateway as a process: the command line beside it, its ports, its end, and its next start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path

import yaml

from gateway.web import ControlError, ask_daemon
from tests.site import until
from tests.system.conftest import Bench, Process, gateway

REDUCTION = "evce/zone/Zone A/reduction"
APPLIED, MAXIMUM = f"{REDUCTION}.applied", "evce/zone/Zone A/maximum"
PATIENCE_S = 50.0


async def complete(process: Process) -> None:
    """Waits until Zone A's limit and maximum were read from the product; over the socket: a command takes a second."""
    socket_path, deadline = process.files.folder / "state" / "control.sock", time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(ControlError):
            rows = [await ask_daemon(socket_path, "POST", "/read", {"point": point}) for point in (APPLIED, MAXIMUM)]
            if all(row["quality"] == "good" for row in rows):
                return
        assert time.monotonic() < deadline, "the gateway did not become complete"
        await asyncio.sleep(0.05)


def place(bench: Bench, text: str) -> tuple[int, int]:
    """1-based line and column of a text in the site's config.yaml."""
    for number, line in enumerate(bench.files.config.read_text().splitlines(), 1):
        if text in line:
            return number, line.index(text) + 1
    raise AssertionError(text)


def requests(bench: Bench, path: str) -> int:
    return sum(item.path.endswith(path) for item in bench.evce.received)


async def test_the_command_line_reads_writes_and_releases(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    code, out, err = await process.cli("write", REDUCTION, "32", "--json")
    assert code == 0, err
    row = json.loads(out)
    assert row["value"] == 32
    assert list(row["slots"]) == ["8"]
    assert row["slots"]["8"]["origin"].startswith("cli local ")
    await until(lambda: any(item.method == "PUT" for item in bench.evce.received))
    body = next(item.body for item in bench.evce.received if item.method == "PUT")
    assert body == {"type": "current", "value": 32.0, "valid_mode": "permanent"}
    code, out, _ = await process.cli("release", REDUCTION, "--json")
    assert code == 0
    assert json.loads(out)["slots"] == {}
    await until(lambda: bench.evce.received[-1].body == {"type": "none", "value": 250.0, "valid_mode": "permanent"})


async def test_refused_writes_say_why_and_exit_with_4(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    for value, words in (("3", "below the floor 6 A"), ("251", "outside 0..250 A"), ("NaN", "NaN"), ("on", "number")):
        code, _, err = await process.cli("write", REDUCTION, value)
        assert code == 4
        assert words in err
    code, _, err = await process.cli("write", "evce/zone/Zone A/power", "3")
    assert code == 4
    assert "cannot be written" in err
    code, _, err = await process.cli("write", REDUCTION, "20", "--slot", "6")
    assert code == 4
    assert "slot 6" in err
    code, _, err = await process.cli("read", "evce/zone/Nowhere/power")
    assert code == 4
    assert "there is no point" in err
    assert not [item for item in bench.evce.received if item.method == "PUT"]


async def test_status_and_points_of_a_running_gateway(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    code, out, _ = await process.cli("status", "--json")
    assert code == 0
    status = json.loads(out)
    assert {source["name"]: source["state"] for source in status["sources"]} == {"evce": "up", "garage-7": "up"}
    assert status["modbus"]["counters"]["connections"] == 0
    assert all(source["relogins"] == 0 for source in status["sources"])
    assert status["bacnet"]["port"] == int(bench.files.data["bacnet"]["address"].rpartition(":")[2])
    code, out, _ = await process.cli("points", "--json")
    rows = {row["point"]: row for row in json.loads(out)}
    row = rows["evce/zone/Zone A/power"]
    assert row["modbus"] == {"unit": 1, "register": 1008, "count": 2}
    assert row["bacnet"] == {"device": 260001, "object": "analog-input", "instance": 1008}
    assert (row["quality"], row["access"], row["unit"]) == ("good", "r", "kW")
    assert rows[REDUCTION]["access"] == "rw"
    assert "evce/connector/Bay 001#1/status" in rows
    code, out, _ = await process.cli("status")
    assert "Test car park" in out
    assert "off" in out


async def test_sigterm_logs_out_of_every_source_and_keeps_the_addresses(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    assert await process.end() == 0
    assert requests(bench, "/login/logout") == 1
    assert any(item.path.endswith("/logout") for item in bench.benders[0].received)
    assert not list((bench.folder / "state" / "tokens").iterdir())
    book = yaml.safe_load((bench.folder / "state" / "addresses.yaml").read_text())
    blocks = {(row["kind"], row["name"]): row["block"] for row in book["blocks"]}
    assert blocks["zone", "Zone A"] == 0
    assert blocks["station", "Bay 004"] == 3
    assert not (bench.folder / "state" / "control.sock").exists()
    again = await bench.run()
    await complete(again)
    _, out, _ = await again.cli("read", "evce/station/Bay 004/power", "--json")
    assert json.loads(out)["modbus"]["register"] == 7000 + 3 * 40 + 10


async def test_U04_after_kill_9_the_old_session_is_logged_out_first(bench: Bench) -> None:
    await bench.products()
    first = await bench.run()
    await complete(first)
    token = (bench.folder / "state" / "tokens" / "evce").read_text()
    assert (bench.folder / "state" / "tokens" / "evce").stat().st_mode & 0o777 == 0o600
    first.process.kill()
    await first.process.wait()
    logins = requests(bench, "/login/login")
    second = await bench.run()
    await complete(second)
    paths = [item.path.rpartition("/")[2] for item in bench.evce.received if "/login/" in item.path]
    assert paths == ["login", "logout", "login"]
    assert requests(bench, "/login/login") == logins + 1
    assert (bench.folder / "state" / "tokens" / "evce").read_text() != token


async def test_H14_a_second_gateway_on_one_state_is_refused(bench: Bench) -> None:
    await bench.products()
    await complete(await bench.run())
    code, _, err = await gateway("run", "-c", str(bench.files.config))
    assert code == 1
    assert "another gateway is already running" in err


async def test_M12_a_port_in_use_ends_the_start_with_a_clear_text(bench: Bench) -> None:
    await bench.products()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bench.files.data["modbus"]["listen"] = f"127.0.0.1:{port}"
        code, _, err = await gateway("run", "-c", str(bench.files.write()))
    assert code == 1
    line, column = place(bench, f"127.0.0.1:{port}")
    where = f"config.yaml:{line}:{column}: modbus.listen: "
    assert f"{where}modbus: cannot listen on 127.0.0.1:{port}: address already in use" in err
    assert "Traceback" not in err
    bench.files.data["modbus"]["listen"] = "127.0.0.1:0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        bench.files.data["bacnet"]["address"] = f"127.0.0.1/8:{udp.getsockname()[1]}"
        bench.files.data["web"] = {"listen": "192.0.2.1:80", "tls": "self_made"}
        code, _, err = await gateway("run", "-c", str(bench.files.write()))
    assert code == 1
    assert "bacnet.address: bacnet: cannot listen on" in err
    assert "web.listen: web: cannot listen on 192.0.2.1:80" in err
    assert requests(bench, "/login/login") == 0


async def test_a_missing_password_stops_the_start_in_words(bench: Bench, tmp_path: Path) -> None:
    await bench.products()
    (tmp_path / "password").unlink()
    code, _, err = await gateway("run", "-c", str(bench.files.config))
    assert code == 1
    assert "password" in err
    assert "cannot be read" in err
    assert "Traceback" not in err
