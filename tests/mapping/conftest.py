"""A mapping from a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.point import PointSpec
from gateway.mapping import LoadedMapping, load_mapping

Load = Callable[..., LoadedMapping]
Faults = Callable[[str], list[str]]

HEAD = """\
product: evce
resources:
  zone:
    list: {get: "/zones", id: "id", name: "name"}
    reads:
      status: {get: "/zones/{id}/status", every: 4s}
      slow: {get: "/zones/{id}", every: 2m}
    modbus: {first: 1000, stride: 60, capacity: 10}
    bacnet: {first: 1000, stride: 60}
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a text as a mapping; it must be without fault."""

    def one(text: str, **others: str) -> LoadedMapping:
        for name, other in others.items():
            (tmp_path / f"{name}.yaml").write_text(other, encoding="utf-8")
        file = tmp_path / "mapping.yaml"
        file.write_text(text, encoding="utf-8")
        mapping, faults = load_mapping(file)
        assert [str(fault) for fault in faults] == []
        assert mapping is not None
        return mapping

    return one


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """The faults of a text, as `line:col path: text`."""

    def one(text: str) -> list[str]:
        file = tmp_path / "mapping.yaml"
        file.write_text(text, encoding="utf-8")
        _, found = load_mapping(file)
        return [f"{fault.line}:{fault.col} {fault.path}: {fault.text}" for fault in found]

    return one


Points = Callable[..., dict[str, PointSpec]]


@pytest.fixture
def points(load: Load) -> Points:
    """The points of a zone that has these lines; `kind` stands at its own level, `file` at the file's."""

    def several(*lines: str, kind: str = "", file: str = "", more: str = "") -> dict[str, PointSpec]:
        text = HEAD.replace("product: evce\n", f"product: evce\n{file}\n") + f"    {kind}\n    points:\n"
        mapping = load(text + "".join(f"      {line}\n" for line in lines) + more)
        return dict(mapping.product.kinds["zone"].points)

    return several
