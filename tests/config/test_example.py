"""config.example.yaml: valid as it stands, every key is there, and every default it names is the real one."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.app.load import load_site
from gateway.app.offline import offline_points
from gateway.config.check import _models
from gateway.config.models import Config
from gateway.config.strict_yaml import Document, parse_yaml

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
ALTERNATIVES = {"ca_file", "insecure", "file", "lease_s", "on_bms_loss", "value", "max_requests_per_s"}
ALTERNATIVES |= {"network", "first_instance", "ip_network", "mac", "device"}
"""Keys that cannot stand beside their alternatives, or would overrule what others say: they are there as comments."""
NEEDS_FILES = ("modbus.tls", "bacnet.dcc_password", "bacnet.foreign", "web.tls")
"""Sections that are there as comments as a whole; each of their keys has its line all the same."""


def fields(model: type[BaseModel], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], FieldInfo]:
    """Every key of the models by its path, without the indexes of lists and the names of mappings."""
    found: dict[tuple[str, ...], FieldInfo] = {}
    for name, info in model.model_fields.items():
        key = (*path, info.alias or name)
        found[key] = info
        for inner in _models([info.annotation, *typing.get_args(info.annotation)]):
            found |= fields(inner, key)
    return found


def written(data: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every key path in plain data, indexes left out."""
    if isinstance(data, list):
        return set().union(*(written(item, path) for item in data))
    if not isinstance(data, dict):
        return set()
    return set().union(*({(*path, key)} | written(value, (*path, key)) for key, value in data.items()))


@pytest.fixture(scope="module")
def text() -> str:
    return EXAMPLE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data(text: str) -> Any:
    document = parse_yaml(text, Document(file="config.example.yaml"))
    assert document.faults == []
    return document.data


def test_it_is_valid_with_the_shipped_mappings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARAGE_7", "x")
    site = load_site(EXAMPLE)
    names = {row["point"] for row in offline_points(site)}
    assert {"evce/zone/Zone A/reduction", "evce/zone/Zone B/reduction", "garage-7/charger/ambient_temp"} <= names
    assert site.warnings == []


def test_every_key_of_the_models_is_there(text: str, data: Any) -> None:
    free = {"expect": "zone", "overrides": "evce/zone/Zone B"}
    keys = {tuple(part for part in path if part not in free.values()) for path in written(data)}
    wanted = fields(Config)
    missing = {".".join(path) for path in wanted if path not in keys}
    missing = {path for path in missing if not path.startswith(NEEDS_FILES)}
    commented = {key for key in ALTERNATIVES if re.search(rf"^\s*#.*\b{key}:", text, re.MULTILINE)}
    assert {path for path in missing if path.rpartition(".")[2] not in commented} == set()
    assert keys - set(wanted) == set()


@pytest.mark.parametrize(("path", "info"), fields(Config).items(), ids=[".".join(p) for p in fields(Config)])
def test_its_line_says_the_real_default(path: tuple[str, ...], info: FieldInfo, text: str) -> None:
    default = info.get_default(call_default_factory=True, validated_data={})
    if (
        path[:2] == ("control", "overrides")
        or isinstance(default, BaseModel)
        or path[-1] in {"modbus", "bacnet", "web"}
    ):
        return
    lines = _lines_of(path, text)
    assert lines, f"no line explains {'.'.join(path)}"
    if info.is_required():
        assert any("required" in line for line in lines), lines
    elif default is not None:
        shown = {"False": "false", "True": "true"}.get(
            str(default), f"{default:g}" if isinstance(default, float) else str(default)
        )
        says = shown or "empty"
        assert any(
            f"default {says}" in line or f"default: {says}" in line or "default as here" in line for line in lines
        ), f"{'.'.join(path)}: no line says `default {says}`"


def _lines_of(path: tuple[str, ...], text: str) -> list[str]:
    """Lines with the key inside the section its path names."""
    section = re.split(rf"^{path[0]}:", text, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^\w", section, maxsplit=1, flags=re.MULTILINE)[0]
    if len(path) == 1:
        return [section.splitlines()[0]]
    return [line for line in section.splitlines() if re.search(rf"(^|[\s{{#-]){path[-1]}:", line)]
