"""What config.yaml says about leases, heartbeats and loss reaches the engine in its own terms."""

from __future__ import annotations

from typing import Any

from gateway.app.policy import client_terms, command_overrides, command_policy, lease_text
from gateway.config import Config
from gateway.core.lease import GroupTerms, Loss
from gateway.engine.setpoint import Limits, Policy

SOURCE = {
    "name": "evce",
    "kind": "evce",
    "url": "http://192.168.0.128",
    "username": "bms",
    "password": {"env": "P"},
    "mapping": "m.yaml",
}


def config(**more: Any) -> Config:
    return Config.model_validate({"sources": [SOURCE], **more})


def test_C04_leases_are_off_by_default() -> None:
    site = config(
        modbus={"clients": [{"name": "bms", "allow": "10.0.0.0/24", "write": True}]},
        bacnet={"address": "10.0.0.5/24", "device": {"instance": 1}, "write": "10.0.0.0/24"},
    )
    assert command_policy(site) == Policy(floor=6.0, allow_stop=False, dry_run=False)
    assert command_policy(site).lease_s == 0.0
    assert command_policy(site).max_downtime_s == 86400.0
    assert client_terms(site) == {
        "cli": GroupTerms(lease_s=0.0),
        "page": GroupTerms(lease_s=0.0),
        "modbus/bms": GroupTerms(slot=10),
        "bacnet": GroupTerms(),
    }


def test_what_is_said_counts_and_what_is_not_said_stays_open() -> None:
    site = config(
        modbus={
            "clients": [
                {"name": "bms", "allow": "10.0.0.1", "write": True, "lease_s": 90, "heartbeat": True},
                {"name": "dcs", "allow": "10.0.0.2", "write": True, "lease_s": "off", "on_bms_loss": "release"},
                {"name": "view", "allow": "10.0.0.3"},
            ]
        },
        bacnet={
            "address": "10.0.0.5/24",
            "device": {"instance": 1},
            "write": "10.0.0.0/24",
            "on_bms_loss": {"value": 10},
        },
        control={
            "lease_s": 60.5,
            "on_bms_loss": {"value": 16},
            "max_downtime": 0,
            "read_only": True,
            "overrides": {
                "evce/zone/A": {"lease_s": "off", "on_bms_loss": "hold"},
                "evce/zone/B": {"floor": 10},
            },
        },
    )
    policy = command_policy(site)
    assert (policy.lease_s, policy.on_loss) == (60.5, Loss("value", 16))
    assert (policy.max_downtime_s, policy.read_only) == (0.0, True)
    assert command_overrides(site) == {
        "evce/zone/A": Limits(lease_s=0.0, on_loss=Loss("hold")),
        "evce/zone/B": Limits(floor=10.0),
    }
    assert client_terms(site) == {
        "cli": GroupTerms(lease_s=0.0),
        "page": GroupTerms(lease_s=0.0),
        "modbus/bms": GroupTerms(lease_s=90.0, heartbeat=True, slot=10),
        "modbus/dcs": GroupTerms(lease_s=0.0, on_loss=Loss("release"), slot=10),
        "modbus/view": GroupTerms(write=False, slot=10),
        "bacnet": GroupTerms(on_loss=Loss("value", 10)),
    }


def test_a_downtime_is_a_duration() -> None:
    assert command_policy(config(control={"max_downtime": "30m"})).max_downtime_s == 1800.0


def test_bacnet_without_write_networks_may_not_write() -> None:
    site = config(bacnet={"address": "10.0.0.5/24", "device": {"instance": 1}})
    assert client_terms(site)["bacnet"] == GroupTerms(write=False)


def test_status_says_which_leases_there_are() -> None:
    assert lease_text(config()) == "off: a command holds until it is changed or released"
    group = {"name": "bms", "allow": "10.0.0.1", "write": True}
    view = {"name": "view", "allow": "10.0.0.2"}
    beating = {**group, "lease_s": 90, "heartbeat": True}
    assert lease_text(config(modbus={"clients": [group, view]}, control={"lease_s": 60})) == "60 s"
    assert lease_text(config(modbus={"clients": [beating, view]})) == "off; modbus/bms 90 s by its heartbeat"
    overrides = {"overrides": {"evce/zone/A": {"lease_s": 30}, "evce/zone/B": {"floor": 8}}, "lease_s": 60}
    assert lease_text(config(modbus={"clients": [{**group, "lease_s": "off"}]}, control=overrides)) == (
        "60 s; modbus/bms off; evce/zone/A 30 s"
    )
