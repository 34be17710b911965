"""`schema`: valid JSON Schema that accepts what we ship and refuses what `check` refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config.strict_yaml import Document, parse_yaml

ROOT = Path(__file__).parents[2]
KNOWN = {
    *("$schema", "$defs", "$ref", "title", "description", "default", "examples", "const", "enum", "type", "pattern"),
    *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "items", "minItems"),
    *("maxItems", "properties", "patternProperties", "additionalProperties", "required", "propertyNames", "anyOf"),
    *("if", "then", "else", "oneOf", "minProperties"),
}
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def accepts(schema: Any, value: Any, root: dict[str, Any]) -> bool:
    """JSON Schema 2020-12, as much of it as our schemas use; an unknown keyword is an error of this test."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    judged = [
        "$ref" not in schema or accepts(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root),
        "anyOf" not in schema or any(accepts(item, value, root) for item in schema["anyOf"]),
        "oneOf" not in schema or sum(accepts(item, value, root) for item in schema["oneOf"]) == 1,
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        "type" not in schema or TYPES[schema["type"]](value),
    ]
    if "if" in schema:
        judged.append(accepts(schema["then" if accepts(schema["if"], value, root) else "else"], value, root))
    if isinstance(value, str):
        judged += ["pattern" not in schema or re.search(schema["pattern"], value) is not None]
        judged += [schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9)]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        judged += [schema.get("minimum", value) <= value <= schema.get("maximum", value)]
        judged += [value > schema["exclusiveMinimum"]] if "exclusiveMinimum" in schema else []
    if isinstance(value, list):
        judged += [schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9)]
        judged += [accepts(schema.get("items", True), item, root) for item in value]
    if isinstance(value, dict):
        judged += [set(schema.get("required", ())) <= set(value), schema.get("minProperties", 0) <= len(value)]
        judged += [accepts(_member(schema, key), item, root) for key, item in value.items()]
        judged += [accepts(schema.get("propertyNames", True), key, root) for key in value]
    return all(judged)


def _member(schema: dict[str, Any], key: str) -> Any:
    if key in schema.get("properties", {}):
        return schema["properties"][key]
    for pattern, inner in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return inner
    return schema.get("additionalProperties", True)


@pytest.fixture
def schema(call: Callable[..., Any]) -> Callable[[str], dict[str, Any]]:
    def one(what: str) -> dict[str, Any]:
        said = call("schema", what)
        assert (said.code, said.err) == (0, "")
        found: dict[str, Any] = json.loads(said.out)
        return found

    return one


def data(file: Path) -> Any:
    document = parse_yaml(file.read_text(encoding="utf-8"), Document())
    assert document.faults == []
    return document.data


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*(references(item) for item in schema.values()))
    return set().union(*(references(item) for item in schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize("what", ["config", "mapping"])
def test_every_reference_leads_somewhere(schema: Any, what: str) -> None:
    found = schema(what)
    assert references(found) <= {f"#/$defs/{name}" for name in found["$defs"]}


def test_the_example_is_accepted(schema: Any) -> None:
    found = schema("config")
    example = data(ROOT / "config.example.yaml")
    assert accepts(found, example, found)
    assert not accepts(found, {**example, "sight": "x"}, found)
    assert not accepts(found, {**example, "modbus": {**example["modbus"], "unit": 300}}, found)
    assert accepts(found, {**example, "bacnet": {**example["bacnet"], "write": "10.0.0.0/8"}}, found)


@pytest.mark.parametrize("file", sorted((ROOT / "mappings").glob("*.yaml")), ids=lambda file: file.name)
def test_shipped_mappings_are_accepted(schema: Any, file: Path) -> None:
    found = schema("mapping")
    assert accepts(found, data(file), found)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("product"),
        lambda m: m["resources"]["zone"].update(listing={}),
        lambda m: m["resources"].update(Zone={}),
        lambda m: m["resources"]["zone"]["reads"]["status"].update(every=5),
        lambda m: m["resources"]["zone"]["points"]["power"].update(modbus=[{"at": 0}]),
        lambda m: m["resources"]["zone"]["points"]["power"].update(modbus={"at": -1, "type": "uint16"}),
        lambda m: m["resources"]["zone"]["points"]["power"].update(bacnet={"at": 1, "object": "analog-output"}),
        lambda m: m["resources"]["zone"]["points"].update(power=None),
        lambda m: m["resources"]["station"]["actions"]["reset"].update(codes={"0": {}}),
        lambda m: m["resources"]["station"]["actions"]["reset"].update(codes={"soft": {}}),
        lambda m: m["resources"]["station"]["actions"]["reset"]["follow"].update(timeout=60),
        lambda m: m["resources"]["zone"]["points"]["reduction"]["command"].update(valid_for_s=60),
        lambda m: m["resources"]["zone"]["points"]["reduction"]["command"].update(lease_s=2),
        lambda m: m["resources"]["zone"]["points"]["reduction"]["command"].update(on_bms_loss="keep"),
        lambda m: m["resources"]["zone"]["points"]["reduction"]["command"].update(on_conflict="fight"),
        lambda m: m["resources"]["zone"]["points"]["reduction"]["command"].update(min_gap_s=1),
    ],
)
def test_faults_are_refused(schema: Any, change: Callable[[Any], Any]) -> None:
    found = schema("mapping")
    mapping = data(ROOT / "mappings" / "evce.yaml")
    change(mapping)
    assert not accepts(found, mapping, found)


@pytest.mark.parametrize(
    "keys",
    [
        {"merge": True, "merge_from": "/em/zones/{id}", "min_gap_s": 60},
        {"valid_for_s": 900, "on_conflict": "alarm", "lease_s": "off", "on_bms_loss": "release"},
        {"lease_s": 30, "on_bms_loss": {"value": 16}, "together": ["l1", "l2"]},
    ],
)
def test_command_keys_are_known_and_described(schema: Any, keys: dict[str, Any]) -> None:
    found = schema("mapping")
    mapping = data(ROOT / "mappings" / "evce.yaml")
    mapping["resources"]["zone"]["points"]["reduction"]["command"].update(keys)
    assert accepts(found, mapping, found)
    described = found["$defs"]["CommandModelWhole"]["properties"]
    assert [key for key in keys if not described[key].get("description")] == []


@pytest.mark.parametrize("what", ["config", "mapping"])
def test_every_key_has_a_text_that_an_editor_shows(schema: Any, what: str) -> None:
    assert [path for path, member in members(schema(what)) if not member.get("description")] == []


def members(schema: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every key a schema names, with its own schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in members(item, path)]
    if not isinstance(schema, dict):
        return []
    own = [(f"{path}.{key}", member) for key, member in schema.get("properties", {}).items()]
    return own + [found for key, inner in schema.items() for found in members(inner, f"{path}/{key}")]


@pytest.mark.parametrize("what", ["config", "mapping"])
def test_the_shipped_schema_is_the_one_that_is_printed(schema: Any, what: str) -> None:
    file = ROOT / "mappings" / "schema" / f"{what}.json"
    assert json.loads(file.read_text(encoding="utf-8")) == schema(what), f"evce-gateway schema {what} > {file.name}"


@pytest.mark.parametrize("file", [ROOT / "config.example.yaml", *sorted((ROOT / "mappings").glob("*.yaml"))])
def test_the_shipped_files_name_their_schema_and_it_is_there(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    said = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert said, first
    what = "config" if file.name.startswith("config") else "mapping"
    assert (file.parent / said[1]).resolve() == ROOT / "mappings" / "schema" / f"{what}.json"


def test_a_file_that_extends_may_leave_out_and_remove_but_not_invent(schema: Any) -> None:
    found = schema("mapping")
    zone = {"points": {"power": None, "current": {"modbus": {"at": 3}}}, "modbus": {"capacity": 5}}
    assert accepts(found, {"extends": "evce.yaml", "resources": {"zone": zone, "meter": None}}, found)
    assert not accepts(found, {"extends": "evce.yaml", "resources": {"zone": {"point": {}}}}, found)
    assert not accepts(found, {"resources": {"zone": zone}}, found)
