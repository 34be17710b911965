"""Leases, heartbeats and loss values against the mappings: what `check` refuses (more in tests/cases)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.app.load import load_site
from gateway.core.errors import ConfigError

MAPPING = """\
product: evce
resources:
  zone:
    list: {get: "/zones", id: "id", name: "name"}
    reads: {status: {get: "/zones/{id}", every: 5s}}
    modbus: {first: 1000, stride: 60, capacity: 10}
    points:
      maximum: {from: status, path: "max", unit: A, modbus: {at: 0, type: float32}}
      limit:
        from: status
        path: "limit"
        unit: A
        range: [0, {point: maximum}]
        command: {put: "/zones/{id}", body: {v: "{value}"}, release: {v: "{default}"}, COMMAND}
        modbus: {at: 4, type: float32, receipt: 6}
      lock:
        from: status
        path: "locked == `true`"
        LOCK
"""
LOCK = 'command: {put: "/zones/{id}/lock", body: {v: "{value}"}, release: {v: false}, default: false}\n        '
LOCK += "modbus: {at: 20, type: bool, receipt: 22}"
Check = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Faults and warnings, as texts without the place, of a site with these keys."""
    monkeypatch.setenv("P", "x")

    def one(
        control: str = "{}", group: str = "", command: str = "", lock: str = "unit: A"
    ) -> tuple[list[str], list[str]]:
        mapping = MAPPING.replace(", COMMAND", f", {command}" if command else "").replace("LOCK", lock)
        (tmp_path / "m.yaml").write_text(mapping, encoding="utf-8")
        (tmp_path / "config.yaml").write_text(
            "state_dir: state\n"
            'sources: [{name: evce, kind: evce, url: "http://10.0.0.1", username: u, '
            "password: {env: P}, mapping: m.yaml}]\n"
            f"modbus: {{clients: [{{name: bms, allow: 10.0.0.0/24, write: true{group}}}]}}\n"
            f"control: {control}\n",
            encoding="utf-8",
        )
        try:
            site = load_site(tmp_path / "config.yaml")
        except ConfigError as error:
            return [f"{fault.path}: {fault.text}" for fault in error.faults], []
        return [], [f"{fault.path}: {fault.text}" for fault in site.warnings]

    return one


@pytest.mark.parametrize(
    ("control", "text"),
    [
        ("-1", "-1 is outside 0..inf A (evce/zone/limit)"),
        ("5.9", "5.9 is below the floor 6 A and stopping is not allowed (evce/zone/limit)"),
        ("0", "0 is below the floor 6 A and stopping is not allowed (evce/zone/limit)"),
    ],
)
def test_C02_a_loss_value_passes_the_checks_of_a_write(check: Check, control: str, text: str) -> None:
    faults, _ = check(f"{{lease_s: 60, on_bms_loss: {{value: {control}}}}}")
    assert faults == [f"control.on_bms_loss.value: {text}"]


def test_C02_a_bound_that_is_read_from_the_product_is_judged_when_it_is_known(check: Check) -> None:
    assert check("{lease_s: 60, on_bms_loss: {value: 4000}}") == ([], [])


@pytest.mark.parametrize(
    ("control", "group", "command", "good"),
    [
        ("{lease_s: 60, allow_stop: true, on_bms_loss: {value: 0}}", "", "", True),
        ("{lease_s: 60, allow_stop: true, on_bms_loss: {value: 3}}", "", "", False),
        ("{lease_s: 60, floor: 3, on_bms_loss: {value: 3}}", "", "", True),
        ("{lease_s: 60, on_bms_loss: {value: 3}}", "", "floor: 2", True),
        ("{lease_s: 60, floor: 2, on_bms_loss: {value: 3}}", "", "floor: 8", False),
        ("{lease_s: 60, on_bms_loss: {value: 3}}", "", "on_bms_loss: release", True),
        ("{lease_s: 60, on_bms_loss: {value: 9}, overrides: {evce/zone/B: {floor: 10}}}", "", "", False),
        (
            "{on_bms_loss: {value: 9}, overrides: {evce/zone/B: {floor: 10, on_bms_loss: hold}}, lease_s: 9}",
            "",
            "",
            True,
        ),
        ("{}", ", lease_s: 60, on_bms_loss: {value: 3}", "on_bms_loss: release", False),
        ("{overrides: {evce/zone/B: {allow_stop: true}}}", ", lease_s: 60, on_bms_loss: {value: 0}", "", False),
        ("{overrides: {evce/zone/B: {allow_stop: true, lease_s: 60, on_bms_loss: {value: 0}}}}", "", "", True),
    ],
)
def test_C02_it_is_judged_where_it_applies_and_by_what_holds_there(
    check: Check, control: str, group: str, command: str, good: bool
) -> None:
    faults, _ = check(control, group, command)
    assert (faults == []) is good, faults


def test_a_value_for_points_of_different_types_is_said_in_the_mapping(check: Check) -> None:
    faults, _ = check("{lease_s: 60, on_bms_loss: {value: 10}}", lock=LOCK)
    assert faults == ["control.on_bms_loss.value: 0 or 1 is needed (evce/zone/lock); say it in each mapping's command"]
    lock = LOCK.replace("default: false", "default: false, on_bms_loss: {value: true}")
    assert check("{lease_s: 60, on_bms_loss: {value: 10}}", lock=lock) == ([], [])


@pytest.mark.parametrize(
    ("control", "group", "command", "good"),
    [
        ("{}", ", heartbeat: true", "", False),
        ("{lease_s: 60}", ", heartbeat: true", "", True),
        ("{lease_s: 60}", ", heartbeat: true, lease_s: off", "", False),
        ("{}", ", heartbeat: true, lease_s: 60", "", True),
        ("{}", ", heartbeat: true", "lease_s: 60", True),
        ("{}", ", heartbeat: true", "lease_s: off", False),
        ("{overrides: {evce/zone/B: {lease_s: 60}}}", ", heartbeat: true", "", True),
    ],
)
def test_C04_a_heartbeat_without_a_lease_supervises_nothing(
    check: Check, control: str, group: str, command: str, good: bool
) -> None:
    faults, _ = check(control, group, command)
    text = "modbus.clients[0].heartbeat: a heartbeat keeps leases alive, and no lease is on; say lease_s beside it"
    assert faults == ([] if good else [text])


def test_C04_a_lease_near_the_writers_period_is_doubted(check: Check) -> None:
    assert check("{lease_s: 29}", ", lease_s: 30")[1] == [
        "control.lease_s: a lease of 29 s is short: it should be 3 times the BMS's write period, or more"
    ]


@pytest.mark.parametrize(
    ("control", "group", "said"),
    [
        ("{on_bms_loss: release}", "", True),
        ("{on_bms_loss: hold}", "", False),
        ("{on_bms_loss: release}", ", lease_s: 60", False),
        ("{on_bms_loss: release, overrides: {evce/zone/B: {lease_s: 60}}}", "", False),
    ],
)
def test_a_loss_policy_that_can_never_act_is_doubted(check: Check, control: str, group: str, said: bool) -> None:
    text = "control.on_bms_loss: nothing makes it happen: no lease is on; say lease_s"
    assert check(control, group) == ([], [text] if said else [])


@pytest.mark.parametrize(
    ("one", "two", "good"),
    [("", "", False), (", shared: true", "", False), ("", ", shared: true", False), (", shared: true",) * 2 + (True,)],
)
def test_C03_two_groups_share_a_slot_only_if_both_say_so(check: Check, one: str, two: str, good: bool) -> None:
    faults, _ = check(group=f"{one}}}, {{name: dcs, allow: 10.0.1.0/24, write: true{two}")
    text = "modbus.clients[1].slot: slot 10 is already written by 'bms'; give each group its own, or say "
    text += "shared: true on both: the last writer then owns it"
    assert faults == ([] if good else [text])


def test_C03_a_group_on_the_slot_of_the_command_line_is_doubted(check: Check) -> None:
    text = "modbus.clients[0].slot: slot 8 is the command line's too (control.local_slot): what is written there "
    text += "replaces this group's value, and then ends"
    assert check(group=", slot: 8") == ([], [text])
    assert check("{local_slot: 9}", ", slot: 8") == ([], [])
