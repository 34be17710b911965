"""The units that systemd runs the gateway by, judged by systemd's own tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
NAMES = ("evce-gateway.service", "evce-gateway@.service")
MOST_EXPOSED = 20
"""Tenths of systemd-analyze's exposure, of 100."""
LARGEST_SITE_MB = 170
"""What ten thousand points take (README)."""

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(("systemd-analyze", *arguments), capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("name", NAMES)
def test_the_units_are_valid(name, tmp_path):
    """`verify` looks for the program, which is not installed here: another stands for it."""
    unit = tmp_path / name.replace("@", "@north")
    unit.write_text((UNITS / name).read_text().replace("/usr/bin/evce-gateway", "/bin/true"))
    told = analyze("verify", "--man=no", str(unit))
    assert (told.returncode, told.stderr, told.stdout) == (0, "", "")


def test_verify_sees_what_is_wrong(tmp_path):
    unit = tmp_path / NAMES[0]
    unit.write_text((UNITS / NAMES[0]).read_text().replace("WatchdogSec=30", "WatchdogSec=soon"))
    told = analyze("verify", "--man=no", str(unit))
    assert "soon" in told.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_units_are_hardened(name):
    told = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNITS / name))
    assert told.returncode == 0, told.stdout


def settings(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_units_say_what_the_design_asks(name):
    unit = settings(name)
    assert unit["Type"] == ["notify"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["DynamicUser"] == ["yes"]
    assert unit["StateDirectoryMode"] == ["0700"]
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == ["CAP_NET_BIND_SERVICE"]
    assert int(unit["WatchdogSec"][0]) < 40
    assert {"MemoryMax", "TasksMax", "LimitNOFILE"} <= unit.keys()
    assert not any("password=" in value.lower() for values in unit.values() for value in values)


@pytest.mark.parametrize("name", NAMES)
def test_H09_a_gateway_over_its_memory_is_ended_alone_and_started_again_at_once(name):
    """What it is restarted to is in test_host.py."""
    unit = settings(name)
    most, high = (int(unit[key][0].removesuffix("M")) for key in ("MemoryMax", "MemoryHigh"))
    assert LARGEST_SITE_MB < high < most <= 1024
    assert unit["MemorySwapMax"] == ["0"]
    assert unit["OOMPolicy"] == ["stop"]
    assert unit["Restart"] == ["always"]
    assert int(unit["RestartSec"][0]) <= 5
    assert unit["StartLimitIntervalSec"] == ["0"], "however often: a limit would leave the site without its gateway"


def test_two_sites_share_nothing():
    unit = settings(NAMES[1])
    for key in ("ExecStart", "StateDirectory", "RuntimeDirectory", "LoadCredential"):
        assert all("%i" in value for value in unit[key]), key


def test_both_units_differ_in_the_sites_name_only():
    one, many = (UNITS / NAMES[0]).read_text(), (UNITS / NAMES[1]).read_text()
    named = many.split("\n", 1)[1].replace(" %i:", ":").replace("/%i/", "/").replace("-%i", "")
    assert named == one
