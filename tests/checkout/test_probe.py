"""Each fault that can be seeded in a mapping's paths, scales and codes is found, whatever the values are today."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest

from gateway.checkout.paths import sort_of
from gateway.checkout.probe import Difference, differences, fit
from gateway.mapping import load_mapping
from tests.site import DIALECTS, MAPPINGS, StillClock, running_site

Kinds = dict[str, Any]


def kinds_of(file: str) -> Kinds:
    loaded, faults = load_mapping(MAPPINGS / file)
    assert loaded is not None
    assert faults == []
    found: Kinds = loaded.document.data["resources"]
    return found


def pathed(kinds: Kinds) -> list[tuple[str, str, dict[str, Any]]]:
    points = [(kind, name, said) for kind, data in kinds.items() for name, said in data["points"].items()]
    return [(kind, name, said) for kind, name, said in points if said.get("path") is not None]


def names_of(found: dict[str, Difference]) -> set[tuple[str, str]]:
    return {(n.split("/")[1], n.rpartition("/")[2].removesuffix(".applied")) for n in found}


@pytest.fixture(params=["desc", "nested"])
async def said(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Kinds, dict[str, Any]]:
    """A dialect's mapping file and data, and everything the simulator answered the gateway: nobody charges."""
    still = {"stations": 2, "zones": 2, "meters": 1, "clock": StillClock()}
    async with running_site(tmp_path, request.param, **still) as site:  # type: ignore[arg-type]
        await site.complete()
        answers = site.daemon.pollers["evce"].source.answers()
        found = {path: {"age_s": 0.0, "document": one.document} for path, one in answers.items()}
    await asyncio.sleep(0)
    return DIALECTS[request.param], kinds_of(DIALECTS[request.param]), found


async def test_seeded_faults_are_found_all_of_them(said: tuple[str, Kinds, dict[str, Any]]) -> None:
    _, right, answers = said
    assert differences("evce", right, right, answers) == {}

    scaled = copy.deepcopy(right)
    numbers = [(kind, name) for kind, name, point in pathed(right) if sort_of(point) == "number"]
    for kind, name in numbers:
        point = scaled[kind]["points"][name]
        point["scale"] = point.get("scale", 1) * 10
    assert names_of(differences("evce", scaled, right, answers)) >= set(numbers)
    assert len(numbers) >= 25

    crossed, moved = copy.deepcopy(right), set()
    for kind, name, point in pathed(right):
        others = [
            other["path"]
            for where, _, other in pathed(right)
            if where == kind and other.get("from") == point.get("from") and other["path"] != point["path"]
        ]
        if others:
            crossed[kind]["points"][name]["path"] = others[0]
            moved.add((kind, name))
    assert names_of(differences("evce", crossed, right, answers)) >= moved
    assert len(moved) > 25

    coded = copy.deepcopy(right)
    enums = {(kind, name) for kind, name, point in pathed(right) if sort_of(point) == "enum"}
    for kind, name in enums:
        codes = coded[kind]["points"][name]["enum"]
        coded[kind]["points"][name]["enum"] = dict(zip(codes, reversed(list(codes.values())), strict=True))
    assert names_of(differences("evce", coded, right, answers)) >= enums


async def test_the_shipped_mapping_that_fits_is_found_by_the_answers(
    said: tuple[str, Kinds, dict[str, Any]],
) -> None:
    file, _, answers = said
    fits = {name: fit("evce", kinds_of(name), answers) for name in DIALECTS.values()}
    assert max(fits, key=lambda name: fits[name]) == file
    assert fits[file] > 0.8
    assert min(fits.values()) < 0.5


async def test_the_same_thing_written_otherwise_is_no_difference(
    said: tuple[str, Kinds, dict[str, Any]],
) -> None:
    _, right, answers = said
    other = copy.deepcopy(right)
    for _kind, _name, point in pathed(other):
        if isinstance(point["path"], str):
            point["path"] = [f"nothing.{'at_all'}", f"({point['path']})"]
    found = differences("evce", other, right, answers)
    assert [name for name, one in found.items() if "no answer proves" not in one.text] == []
