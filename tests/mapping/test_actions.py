"""`actions` of a resource, and the command keys beyond a plain PUT."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gateway.addressing import expand, overlaps, region_faults
from gateway.core.lease import Loss
from gateway.core.point import Region
from tests.mapping.conftest import HEAD, Faults, Load

ACTIONS = """\
    actions:
      reset:
        description: Restart
        post: "/zones/{id}/reset"
        codes: {1: null, 20: {kind: "{point:power}", at: "{now:iso}"}}
        result: "cmd.id"
        follow:
          {get: "/zones/{id}/cmds/{result}", path: "state", done: [ok], failed: [bad, "7"], every: 500ms, timeout: 2m}
        modbus: {at: 20}
        bacnet: {at: 30}
      stop: {put: "/zones/{id}/stop", codes: {1: {}}}
    points:
      power: {from: status, path: "power"}
"""
LIMIT = """\
    points:
      limit:
        from: status
        path: "limit"
        range: [0, 9]
        command: {put: "/zones/{id}", body: {v: "{value}", t: "{end:epoch_ms}"}, release: {v: "{default}"}%s}
      note: {answer_to: limit, path: "note", stale_after_s: 5}
"""


def test_an_action_is_data(load: Load) -> None:
    kind = load(HEAD + ACTIONS).product.kinds["zone"]
    reset, stop = kind.actions["reset"], kind.actions["stop"]
    assert (reset.method, reset.path, reset.description) == ("POST", "/zones/{id}/reset", "Restart")
    assert reset.codes == {1: None, 20: {"kind": "{point:power}", "at": "{now:iso}"}}
    assert reset.points == ("reset", "reset.result", "reset.error_text")
    assert (reset.at, reset.instance) == (20, 30)
    assert reset.result is not None
    assert reset.result({"cmd": {"id": 5}}) == 5
    assert reset.follow is not None
    assert (reset.follow.path, reset.follow.done, reset.follow.failed) == (
        "/zones/{id}/cmds/{result}",
        {"ok"},
        {"bad", "7"},
    )
    assert (reset.follow.every_s, reset.follow.timeout_s, reset.follow.status({"state": "ok"})) == (0.5, 120, "ok")
    assert (stop.method, stop.codes, stop.result, stop.follow, stop.at) == ("PUT", {1: {}}, None, None, None)
    assert kind.actions_at is None


def test_actions_may_have_a_region_of_their_own(load: Load) -> None:
    head = HEAD.replace("capacity: 10}", "capacity: 10, actions: {first: 5000, stride: 30, capacity: 4}}")
    assert load(head + ACTIONS).product.kinds["zone"].actions_at == Region(5000, 30, 4)


def test_null_is_a_body_and_removes_codes(load: Load) -> None:
    site = (
        "extends: base.yaml\n"
        "resources: {zone: {actions: {reset: {codes: {20: null, 3: {a: null}}}, stop: {codes: {1: {b: null}}}}}}\n"
    )
    actions = load(site, base=HEAD + ACTIONS).product.kinds["zone"].actions
    assert actions["reset"].codes == {1: None, 3: {"a": None}}
    assert actions["stop"].codes == {1: {"b": None}}


def test_command_keys_and_what_holds_without_them(load: Load) -> None:
    plain = load(HEAD + (LIMIT % "").replace(', t: "{end:epoch_ms}"', "")).product.kinds["zone"].points["limit"].command
    assert plain is not None
    assert (plain.merge, plain.merge_from, plain.together, plain.valid_for_s) == (False, None, (), None)
    assert (plain.on_conflict, plain.lease_s, plain.on_loss, plain.gap_s) == ("reassert", None, None, None)
    keys = ", merge: true, valid_for_s: 900, on_conflict: adopt, lease_s: 30, on_bms_loss: {value: 7}, min_gap_s: 60"
    points = load(HEAD + LIMIT % keys).product.kinds["zone"].points
    said = points["limit"].command
    assert said is not None
    assert (said.merge, said.merge_from, said.valid_for_s) == (True, "/zones/{id}", 900)
    assert (said.on_conflict, said.lease_s, said.on_loss, said.gap_s) == ("adopt", 30, Loss("value", 7), 60)


@pytest.mark.parametrize(
    ("keys", "lease_s", "loss"),
    [
        (", lease_s: off, on_bms_loss: hold", 0.0, Loss("hold")),
        (", lease_s: 5, on_bms_loss: release", 5.0, Loss("release")),
    ],
)
def test_words_for_leases(load: Load, keys: str, lease_s: float, loss: Loss) -> None:
    command = load(HEAD + LIMIT % f"{keys}, valid_for_s: 600").product.kinds["zone"].points["limit"].command
    assert command is not None
    assert (command.lease_s, command.on_loss) == (lease_s, loss)


def test_a_point_of_an_answer_is_shown_once_there_was_one_and_does_not_age(load: Load) -> None:
    note = load(HEAD + LIMIT % ", valid_for_s: 600").product.kinds["zone"].points["note"]
    assert (note.read, note.optional, note.stale_after_s) == ("answer to limit", True, math.inf)


def test_together_is_refused_and_not_ignored(faults: Faults) -> None:
    text = HEAD + "    points:\n"
    for name in ("l1", "l2"):
        text += (
            f'      {name}: {{from: status, path: "{name}", range: [0, 9], command: {{put: "/z/{{id}}", release: {{}}, '
            f'body: {{a: "{{point:l1}}", b: "{{point:l2}}"}}, together: [l1, l2]}}}}\n'
        )
    found = faults(text)
    assert len(found) == 2
    assert all("not carried out by this version" in fault for fault in found)


def test_no_shipped_address_has_moved_for_the_actions() -> None:
    """A few addresses that sites have written into their BMS."""
    from gateway.mapping import load_mapping

    folder = Path(__file__).parents[2] / "mappings"
    for file in ("evce.yaml", "evce-nested.yaml"):
        mapping, _ = load_mapping(folder / file)
        assert mapping is not None
        station = mapping.product.kinds["station"]
        assert station.modbus == Region(7000, 40, 1000, 36)
        assert {name: station.points[name].registers[0].at for name in ("status", "session_tag", "zone")} == {
            "status": 0,
            "session_tag": 22,
            "zone": 28,
        }
    bender, _ = load_mapping(folder / "bender.yaml")
    assert bender is not None
    limit = bender.product.kinds["charger"].points["operator_current_limit"]
    assert (limit.registers[0].at, limit.objects[0].at, limit.command) == (42, 42, None)


def test_a_site_with_more_stations_gives_up_capacity_for_their_actions(load: Load) -> None:
    """The lines that evce.yaml offers in a comment."""
    folder = Path(__file__).parents[2] / "mappings"
    text = (folder / "evce.yaml").read_text(encoding="utf-8")
    offered = [line.strip().removeprefix("#   ") for line in text.splitlines() if line.startswith("    #   ")]
    assert offered[0] == "extends: evce.yaml"
    kinds = load(f"extends: {folder}/evce.yaml\n{offered[1]}\n").product.kinds
    assert kinds["station"].actions_at == Region(39000, 8, 800)
    assert region_faults([(name, "p", kind) for name, kind in kinds.items()]) == []


def test_the_commented_setting_of_a_zone_is_whole(load: Load) -> None:
    folder = Path(__file__).parents[2] / "mappings"
    text = (folder / "evce.yaml").read_text(encoding="utf-8")
    lines = [line.removeprefix("      #   ") for line in text.splitlines() if line.startswith("      #   ")]
    assert lines[0] == "maximum_setting:"
    body = "\n".join(f"      {line}" for line in lines)
    kinds = load(f"extends: {folder}/evce.yaml\nresources:\n  zone:\n    points:\n{body}\n").product.kinds
    command = kinds["zone"].points["maximum_setting"].command
    assert command is not None
    assert (command.merge_from, command.gap_s) == ("/em/zones/{id}", 60)
    assert overlaps(expand(kinds["zone"], "big", "big"), kinds["zone"].modbus, kinds["zone"].bacnet) == []
