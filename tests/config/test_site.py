"""config.yaml and mappings together: what no single file can show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.app.load import Site, load_site
from gateway.app.offline import offline_points
from gateway.core.errors import ConfigError

MAPPING = """\
product: evce
resources:
  zone:
    list: {get: "/zones", id: "id", name: "name"}
    reads: {status: {get: "/zones/{id}", every: 5s}}
    modbus: {first: 1000, stride: 10, capacity: 10}
    points:
      power: {from: status, path: "power", unit: kW, modbus: {at: 0, type: float32}}
"""
Write = Callable[..., Path]


def source(name: str, mapping: str = "m.yaml", more: str = "") -> str:
    return (
        f'  - {{name: {name}, kind: evce, url: "http://10.0.0.1", username: u,'
        f" password: {{env: P}}, mapping: {mapping}{more}}}\n"
    )


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("P", "x")

    def files(*sources: str, modbus: str = "{}", more: str = "", **mappings: str) -> Path:
        for name, text in {"m": MAPPING, **mappings}.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        file = tmp_path / "config.yaml"
        file.write_text(f"state_dir: state\nsources:\n{''.join(sources)}modbus: {modbus}\n{more}", encoding="utf-8")
        return file

    return files


def faults(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load_site(file)
    return [str(fault) for fault in refused.value.faults]


def registers(site: Site, point: str) -> dict[str, int]:
    rows = [row for row in offline_points(site) if row["point"].endswith(point) and row["modbus"]]
    return {row["point"]: row["modbus"]["register"] for row in rows}


def test_sources_of_one_mapping_share_its_blocks(write: Write) -> None:
    expect = ", expect: {zone: [A, B]}"
    extending = "extends: m.yaml\nresources: {zone: {points: {power: {path: kw}}}}\n"
    site = load_site(write(source("one", more=expect), source("two", "n.yaml", more=expect), n=extending))
    assert registers(site, "/power") == {
        "one/zone/A/power": 1000,
        "one/zone/B/power": 1010,
        "two/zone/A/power": 1020,
        "two/zone/B/power": 1030,
    }
    assert registers(site, "source/connected") == {"one/source/connected": 100, "two/source/connected": 116}


def test_unrelated_mappings_of_one_file_name_clash_and_both_are_named(write: Write, tmp_path: Path) -> None:
    found = faults(write(source("one", "a/m.yaml"), source("two", "b/m.yaml"), a__m=MAPPING, b__m=MAPPING))
    text = f"registers 1000..1099 overlap those of zone of {tmp_path}/a/m.yaml (1000..1099)"
    assert found == [f"b/m.yaml:6:21: resources.zone.modbus.first: {text}"]


def test_a_family_that_moves_a_region_onto_its_own_clashes(write: Write) -> None:
    extending = "extends: m.yaml\nresources:\n  zone:\n    modbus: {first: 1050}\n"
    found = faults(write(source("one"), source("two", "n.yaml"), n=extending))
    assert found == [
        "n.yaml:4:21: resources.zone.modbus.first: registers 1050..1149 overlap those of zone of m.yaml (1000..1099)"
    ]


@pytest.mark.parametrize(("count", "good"), [(40, True), (41, False)])
def test_more_sources_than_the_built_in_region_holds(write: Write, count: int, good: bool) -> None:
    file = write(*(source(f"s{i}") for i in range(count)))
    if good:
        rows = registers(load_site(file), "source/connected")
        assert max(rows.values()) == 100 + 39 * 16
    else:
        assert faults(file) == ["config.yaml:3:3: sources: at most 40 sources have an address (found 41)"]


def test_expectations_of_all_sources_of_a_pool_count(write: Write) -> None:
    six = ", expect: {zone: [A, B, C, D, E, F]}"
    found = faults(write(source("one", more=six), source("two", more=six)))
    assert len(found) == 1
    assert found[0].endswith("sources[1].expect.zone: 12 are expected, and `capacity` of zone is 10")


def test_a_missing_password_file_is_a_warning(write: Write) -> None:
    site = load_site(write(source("one").replace("{env: P}", "{file: p}")))
    (warning,) = site.warnings
    assert str(warning).endswith("sources[0].password.file: there is no file p")


def test_warnings_of_a_shared_mapping_come_once(write: Write) -> None:
    doubtful = MAPPING + '      idle: {from: status, path: "!a.b", modbus: {at: 4, type: bool}}\n'
    site = load_site(write(source("one"), source("two"), m=doubtful))
    assert [warning.line for warning in site.warnings] == [9]


def test_the_servers_word_order_reaches_every_register(write: Write) -> None:
    site = load_site(write(source("one", more=", expect: {zone: [A]}"), modbus="{word_order: little}"))
    orders = {row["point"]: row.get("word_order") for row in offline_points(site) if row["modbus"]}
    assert set(orders.values()) == {"little"}


def test_a_broken_config_does_not_hide_broken_mappings(write: Write) -> None:
    file = write(source("one", more=", name: two"), source("two", "n.yaml"), n="product: evse\n")
    assert faults(file) == [
        "config.yaml:3:103: sources[0].name: duplicate key",
        "n.yaml:1:1: resources: is missing",
        "n.yaml:1:10: product: must be 'evce' or 'bender' (found 'evse')",
    ]


def test_the_address_book_decides_where_known_names_stand(write: Write, tmp_path: Path) -> None:
    file = write(source("one", more=", expect: {zone: [B, A]}"))
    (tmp_path / "state").mkdir()
    rows = ["{source: one, kind: zone, name: A, block: 3}", "{source: gone, kind: zone, name: Z, block: 4}"]
    (tmp_path / "state" / "addresses.yaml").write_text("version: 1\nblocks:\n" + "".join(f"- {row}\n" for row in rows))
    assert registers(load_site(file), "/power") == {"one/zone/A/power": 1030, "one/zone/B/power": 1050}


def test_kinds_come_after_what_they_live_in(write: Write) -> None:
    more = """\
  plug: {within: evse, from: status, items: "plugs", id: "id"}
  evse: {within: zone, from: status, items: "evses", id: "id"}
"""
    site = load_site(write(source("one"), m=MAPPING + more))
    assert [kind.name for kind in site.kinds("one")] == ["source", "zone", "evse", "plug"]
