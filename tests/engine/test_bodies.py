"""Commands that a mapping alone makes: percent, a member of a whole object, a setting of a Bender controller."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.delivery import WriteStatus
from gateway.core.errors import CommandRejected, Reject
from gateway.engine.ports import Ask
from gateway.mapping import load_mapping
from tests.engine.limits import in_force, limits_up
from tests.engine.rig import BMS, MAPPING, MAPPINGS, until

S = WriteStatus
PERCENT = """
resources:
  zone:
    points:
      reduction:
        scale: {point: maximum, by: 0.01}
        range: [0, {point: maximum}]
        command:
          as: int
          tolerance: null
"""
MAXIMUM = {
    "desc": ("desc.max_current", 1.0, '{desc: {max_current: "%s"}}', "float"),
    "nested": ("zone.limits.imax_da", 0.1, '{zone: {limits: {imax_da: "%s"}}}', "int"),
}
SETTING = """
resources:
  zone:
    points:
      maximum_setting:
        from: properties
        path: "{0}"
        unit: A
        scale: {1}
        range: [0, 250]
        command:
          put: "/em/zones/{{id}}"
          merge: true
          body: {2}
          release: {3}
          default: 200
          as: {4}
"""
WLAN = """
resources:
  charger:
    reads:
      settings: {get: "/settings?params=Enabled_wlan,OperatorCurrentLimit_vehicleif"}
    points:
      wlan:
        from: settings
        path: "result.Enabled_wlan.value"
        command:
          post: "/settings"
          body: {params: [{key: Enabled_wlan, value: "{value}"}]}
          release: {params: [{key: Enabled_wlan, value: false}]}
          default: false
        bacnet: {object: binary-value, at: 1}
      reboot_required: {answer_to: wlan}
"""


def mapped(folder, base, text):
    """The kinds of a mapping of the site's own that extends a shipped one."""
    file = folder / "own.yaml"
    file.write_text(f"extends: {MAPPINGS / base}\n{text}", encoding="utf-8")
    mapping, faults = load_mapping(file)
    assert mapping is not None, faults
    assert faults == []
    return list(mapping.product.kinds.values())


async def write(plant, point, value):
    await plant.desk.submit([Ask(plant.index(point), value, 10)], BMS)


def status(plant, point):
    return S(int(plant.sample(f"{point}.write_status").value or 1))


async def test_a_limit_in_percent_is_asked_judged_and_shown_in_amperes(evce, plant, tmp_path):
    """The product's number stands for percent of the zone's maximum, 250 A."""
    plant.add("evce", evce, kinds=mapped(tmp_path, "evce.yaml", PERCENT))
    async with plant.running():
        await limits_up(plant)
        with pytest.raises(CommandRejected, match=r"251 is outside 0\.\.250 A") as refused:
            await plant.ask(251.0)
        assert refused.value.reject is Reject.RANGE
        with pytest.raises(CommandRejected, match="below the floor 6 A"):
            await plant.ask(5.0)
        await plant.ask(101.0)
        await in_force(plant, 101.0)
        bodies = [item.body for item in evce.received if item.method == "PUT"]
        assert bodies == [{"type": "current", "value": 40, "valid_mode": "permanent"}], "rounded to the tighter side"
        assert plant.value("evce/zone/Zone A/reduction.applied") == 100.0
        await evce.do("zone_max", name="Zone A", amps=200)
        await until(lambda: plant.value("evce/zone/Zone A/maximum") == 200)
        await until(lambda: evce.site.zones[1].reduction.value_a == 50)
        await until(lambda: plant.value("evce/zone/Zone A/reduction.applied") == 100.0)


async def test_one_member_of_a_zone_is_set_and_released_by_merging(both, plant, tmp_path):
    path, scale, body, json_type = MAXIMUM[both.dialect]
    text = SETTING.format(path, scale, body % "{value}", body % "{default}", json_type)
    plant.add("evce", both, kinds=mapped(tmp_path, MAPPING[both.dialect], text))
    point = "evce/zone/Zone A/maximum_setting"
    name, kind = both.site.zones[1].name, both.site.zones[1].kind
    async with plant.running():
        await until(lambda: plant.value(f"{point}.applied") == 250)
        await write(plant, point, 120.0)
        await until(lambda: status(plant, point) is S.IN_FORCE)
        assert both.site.zones[1].max_a == 120.0
        assert (both.site.zones[1].name, both.site.zones[1].kind) == (name, kind)
        assert [item.status for item in both.received if item.method == "PUT"] == [200]
        await write(plant, point, None)
        await until(lambda: both.site.zones[1].max_a == 200.0)
        await until(lambda: status(plant, point) is S.IDLE)


async def test_a_whole_object_of_another_shape_is_refused_with_the_reason_and_never_sent(evce, plant, tmp_path):
    path, scale, body, json_type = MAXIMUM["desc"]
    text = SETTING.format(path, scale, body % "{value}", body % "{default}", json_type)
    text = text.replace("          merge: true", '          merge: true\n          merge_from: "/em/zones/{id}/status"')
    plant.add("evce", evce, kinds=mapped(tmp_path, "evce.yaml", text))
    point = "evce/zone/Zone A/maximum_setting"
    async with plant.running():
        await until(lambda: plant.value(f"{point}.applied") == 250)
        await write(plant, point, 120.0)
        await until(lambda: status(plant, point) is S.REJECTED)
        assert plant.value(f"{point}.error_text") == "GET /em/zones/1/status: not changed: there is no member desc"
        await asyncio.sleep(0.1)
        assert [item for item in evce.received if item.method == "PUT"] == []


async def test_the_operator_limit_of_a_bender_is_a_setting_that_is_proven(bender, plant):
    plant.add("garage", bender)
    point = "garage/charger/operator_limit"
    async with plant.running():
        await until(lambda: plant.value(f"{point}.applied") == 32)
        assert plant.sample("garage/charger/reboot_required").value is None
        with pytest.raises(CommandRejected, match=r"81 is outside 6\.\.80 A"):
            await write(plant, point, 81.0)
        await write(plant, point, 16.9)
        await until(lambda: status(plant, point) is S.IN_FORCE)
        sent = [item.body for item in bender.received if item.path == "/v1/settings"]
        assert sent == [{"params": [{"key": "OperatorCurrentLimit_vehicleif", "value": 16}]}]
        assert bender.charger.limit_a == 16
        assert plant.value(f"{point}.applied") == 16
        assert plant.value("garage/charger/operator_current_limit") == 16
        assert plant.value("garage/charger/reboot_required") is False


async def test_settings_are_changed_at_most_once_a_minute(bender, plant):
    plant.add("garage", bender)
    point = "garage/charger/operator_limit"

    def sent():
        return [item.body["params"][0]["value"] for item in bender.received if item.path == "/v1/settings"]

    async with plant.running():
        await until(lambda: plant.value(f"{point}.applied") == 32)
        for amps in (20.0, 19.0, 18.0, 10.0):
            await write(plant, point, amps)
            await until(sent)
            await asyncio.sleep(0.05)
        assert sent() == [20]
        plant.clock.added += 50
        await asyncio.sleep(0.2)
        assert sent() == [20], "even a tighter value waits: this is flash"
        plant.clock.added += 11
        await until(lambda: sent() == [20, 10])
        await until(lambda: status(plant, point) is S.IN_FORCE)


async def test_that_a_controller_must_be_restarted_is_shown(bender, plant, tmp_path):
    plant.add("garage", bender, kinds=mapped(tmp_path, "bender.yaml", WLAN))
    point = "garage/charger/wlan"
    async with plant.running():
        await until(lambda: plant.value(f"{point}.applied") is False)
        await write(plant, point, True)
        await until(lambda: plant.value("garage/charger/reboot_required") is True)
        await until(lambda: status(plant, point) is S.IN_FORCE)
        plant.later(100)
        assert plant.value("garage/charger/reboot_required") is True, "an answer holds until the next one"
