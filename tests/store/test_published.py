"""The published map on the disk: it comes back whole, or from its copy, or nothing starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.addressing.served import ServedObject, ServedPoint, ServedRegister
from gateway.core.errors import ConfigError
from gateway.store.published import (
    AcceptedFiles,
    PublishedMap,
    is_published,
    load_accepted,
    load_published,
    save_accepted,
    save_published,
)

POINTS = [
    ServedPoint(
        ("evce", "zone", 0),
        "power",
        'evce/zone/Zone "A"\n\ud800/power',
        "kW",
        "rw",
        (ServedRegister(1, 8, "float32", 2), ServedRegister(1, 9, "bits", 1, 0, 0.1, "little", "little")),
        (ServedObject(7, "analog-input", 8),),
        {'an, ",\n': 1},
    ),
    ServedPoint(("gateway", "header", -1), "magic", "gateway/header/magic", "", "r", (), ()),
]
MAP = PublishedMap("00ff", "2026-01-02T03:04:05Z", "anna", POINTS)


def test_any_map_comes_back(tmp_path: Path) -> None:
    assert load_published(tmp_path) is None
    assert not is_published(tmp_path)
    save_published(tmp_path, MAP)
    assert load_published(tmp_path) == MAP
    assert is_published(tmp_path)
    for name in ("published.json", "published.json.1"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "published.json").read_text().splitlines()) == len(POINTS) + 4, "one point a line"


def test_the_accepted_files_come_back_and_are_not_written_twice(tmp_path: Path) -> None:
    assert load_accepted(tmp_path) is None
    accepted = AcceptedFiles({"/etc/x/config.yaml": "site: Ä\n"}, "00ff", POINTS)
    save_accepted(tmp_path, accepted)
    assert load_accepted(tmp_path) == accepted
    before = (tmp_path / "accepted.json").stat()
    save_accepted(tmp_path, accepted)
    assert (tmp_path / "accepted.json").stat().st_ino == before.st_ino


@pytest.mark.parametrize("damage", [b"", b"{", b"\0" * 500, b'{"digest": "00",\n"version": 1}\n'])
def test_H03_a_damaged_map_comes_back_from_its_copy(tmp_path: Path, damage: bytes) -> None:
    save_published(tmp_path, MAP)
    (tmp_path / "published.json").write_bytes(damage)
    assert load_published(tmp_path) == MAP
    (tmp_path / "published.json").unlink()
    assert load_published(tmp_path) == MAP
    (tmp_path / "published.json.1").write_bytes(damage)
    with pytest.raises(ConfigError, match="cannot be read, and neither can its copy: restore it from a backup"):
        load_published(tmp_path)


def test_H03_one_changed_digit_is_damage(tmp_path: Path) -> None:
    save_published(tmp_path, MAP)
    for name in ("published.json", "published.json.1"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace('"register":8', '"register":9'))
    with pytest.raises(ConfigError):
        load_published(tmp_path)


def test_a_newer_gateway_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.published.VERSION", 2)
    save_published(tmp_path, MAP)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="newer gateway"):
        load_published(tmp_path)
