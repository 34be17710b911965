"""The OpenAPI files, and mappings loaded from a text that extends the shipped one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.mapping import LoadedMapping, load_mapping
from gateway.mapping.openapi import Api, read_openapi

FILES = Path(__file__).parent / "files"
MAPPINGS = Path(__file__).resolve().parents[3] / "mappings"
DIALECTS = {"desc": "evce-desc.json", "nested": "evce-nested.yaml", "swagger": "evce-desc.spec.js"}
SHIPPED = {"desc": "evce.yaml", "nested": "evce-nested.yaml", "swagger": "evce.yaml"}
Write = Callable[[str], LoadedMapping]


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def api(dialect: str) -> Api:
    return read_openapi(FILES / DIALECTS[dialect])


@pytest.fixture
def desc() -> Api:
    return read_openapi(FILES / DIALECTS["desc"])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Loads a text beside copies of the shipped mappings."""

    def one(text: str) -> LoadedMapping:
        for name in set(SHIPPED.values()):
            shutil.copy(MAPPINGS / name, tmp_path / name)
        file = tmp_path / "ours.yaml"
        file.write_text(text, encoding="utf-8")
        mapping, faults = load_mapping(file)
        assert [str(fault) for fault in faults] == []
        assert mapping is not None
        return mapping

    return one
