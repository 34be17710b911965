"""The published map and the configuration it was last served with: two files of the state directory.

Rules of this file: each is written whole and twice, so that a damaged one never frees an address; what cannot be read
is told, not guessed. No secret is in them: config.yaml only names where secrets are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from gateway.addressing.served import ServedObject, ServedPoint, ServedRegister
from gateway.core.errors import ConfigError, Fault
from gateway.store.files import link, replace

PUBLISHED, ACCEPTED = "published.json", "accepted.json"
COPY = ".1"
VERSION = 1
WRITING = Lock()
"""Held by whoever compares with the published map and then writes it."""
USUAL = {"bit": None, "scale": 1.0, "word_order": "big", "byte_order": "big"}
"""What is left out of a register, as ServedRegister has it by default."""


@dataclass(frozen=True, slots=True)
class PublishedMap:
    """A frozen map: `map_hash` as both protocols show it, `published` in UTC, `user` who did it."""

    map_hash: str
    published: str
    user: str
    points: Sequence[ServedPoint]


@dataclass(frozen=True, slots=True)
class AcceptedFiles:
    """What the gateway last served with: every file of the configuration by its absolute path, and the map then."""

    files: Mapping[str, str]
    map_hash: str
    points: Sequence[ServedPoint]


def point_data(point: ServedPoint) -> dict[str, Any]:
    """A point JSON-ready; what a register has by default is left out."""
    return {
        "owner": list(point.owner),
        "point": point.point,
        "name": point.name,
        "unit": point.unit,
        "access": point.access,
        "registers": [_register_data(register) for register in point.registers],
        "objects": [{"device": one.device, "object": one.object, "instance": one.instance} for one in point.objects],
        "codes": dict(point.codes),
    }


def _register_data(register: ServedRegister) -> dict[str, Any]:
    data: dict[str, Any] = {
        "unit": register.unit,
        "register": register.register,
        "type": register.type,
        "count": register.count,
    }
    more: dict[str, Any] = {"bit": register.bit, "scale": register.scale}
    more |= {"word_order": register.word_order, "byte_order": register.byte_order}
    return data | {key: value for key, value in more.items() if value != USUAL[key]}


def point_of(data: Mapping[str, Any]) -> ServedPoint:
    """The reverse of `point_data`; raises KeyError, TypeError or ValueError."""
    source, kind, block = data["owner"]
    return ServedPoint(
        (str(source), str(kind), int(block)),
        str(data["point"]),
        str(data["name"]),
        str(data["unit"]),
        "rw" if data["access"] == "rw" else "r",
        tuple(ServedRegister(**one) for one in data["registers"]),
        tuple(ServedObject(**one) for one in data["objects"]),
        {str(text): int(code) for text, code in data["codes"].items()},
    )


def is_published(folder: Path) -> bool:
    """Whether a map was ever frozen here, readable or not."""
    return any((folder / name).exists() for name in (PUBLISHED, PUBLISHED + COPY))


def save_published(folder: Path, published: PublishedMap) -> None:
    """Freezes a map; raises OSError."""
    head = {"map_hash": published.map_hash, "published": published.published, "user": published.user}
    _save(folder / PUBLISHED, head, published.points)


def load_published(folder: Path) -> PublishedMap | None:
    """The frozen map, None before anything was published.

    Raises:
        ConfigError: it cannot be read, and neither can its copy.
    """
    head, points = _load(folder / PUBLISHED)
    if head is None:
        return None
    return PublishedMap(head["map_hash"], head["published"], head["user"], points)


def save_accepted(folder: Path, accepted: AcceptedFiles) -> None:
    """Keeps what is served now, unless it is kept already; raises OSError."""
    _save(folder / ACCEPTED, {"map_hash": accepted.map_hash, "files": dict(accepted.files)}, accepted.points)


def load_accepted(folder: Path) -> AcceptedFiles | None:
    """What was served last, None if nothing was kept.

    Raises:
        ConfigError: it cannot be read, and neither can its copy.
    """
    head, points = _load(folder / ACCEPTED)
    return None if head is None else AcceptedFiles(dict(head["files"]), head["map_hash"], points)


def mend(folder: Path) -> list[str]:
    """Writes a damaged file anew from its copy, and keeps what was damaged; returns what was done in sentences.

    Only the holder of the state directory's lock may do this; raises OSError.
    """
    said: list[str] = []
    for name in (PUBLISHED, ACCEPTED):
        with WRITING:
            said += _mend_pair([folder / name, folder / (name + COPY)])
    return said


def _mend_pair(pair: Sequence[Path]) -> list[str]:
    good = [_read(path) is not None for path in pair]
    if not any(good) or all(good):
        return []
    lost, whole = pair[good.index(False)], pair[good.index(True)]
    if lost.exists():
        link(lost, lost.with_name(f"{lost.name}.broken"))
    replace(lost, whole.read_bytes(), 0o600)
    return [f"{lost.name} was damaged and was written anew from its copy"]


def _save(path: Path, head: Mapping[str, Any], points: Sequence[ServedPoint]) -> None:
    """One point a line, so that two maps can be compared by any tool; the digest is over everything but itself."""
    rows = ",\n".join(json.dumps(point_data(point), separators=(",", ":")) for point in points)
    body = f'{json.dumps({"version": VERSION, **head})[1:-1]},\n"points": [\n{rows}\n]'
    content = f'{{"digest": "{_digest(body)}",\n{body}}}\n'.encode()
    copy = path.with_name(path.name + COPY)
    if path.exists() and copy.exists() and path.read_bytes() == content == copy.read_bytes():
        return
    replace(copy, content, 0o600)
    replace(path, content, 0o600)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _load(path: Path) -> tuple[dict[str, Any] | None, list[ServedPoint]]:
    copy = path.with_name(path.name + COPY)
    if not path.exists() and not copy.exists():
        return None, []
    for file in (path, copy):
        found = _read(file)
        if found is not None:
            return found
    text = "restore it from a backup, or freeze the map of today with `addresses publish --accept-moves`"
    raise ConfigError([Fault(str(path), 0, 0, "", f"cannot be read, and neither can its copy: {text}")])


def _read(file: Path) -> tuple[dict[str, Any], list[ServedPoint]] | None:
    """What a file holds; None when it is damaged."""
    try:
        text = file.read_text("utf-8")
        begin, end = '{"digest": "', '",\n'
        digest = text[len(begin) : text.index(end)]
        body = text[text.index(end) + len(end) : -len("}\n")]
        if not text.startswith(begin) or digest != _digest(body):
            return None
        data = json.loads(text)
        if data["version"] > VERSION:
            raise ConfigError([Fault(str(file), 0, 0, "", "was written by a newer gateway: run that one")])
        return data, [point_of(point) for point in data["points"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
