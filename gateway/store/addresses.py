"""The text of addresses.yaml: read strictly, written readably."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from gateway.addressing import LAST_UNIT, Entry
from gateway.config.check import Strict, validate
from gateway.config.strict_yaml import read_yaml
from gateway.core.errors import ConfigError, Fault
from gateway.core.point import MOST_DEVICES

VERSION = 2
"""2 brought `certificates` and the optional members of a row; version 1 is read as well."""
LARGEST_FILE = 64 * 1024 * 1024
_HEAD = """\
# Addresses of the EVCE gateway: which block belongs to which name. Append-only; part of every backup.
# A block is never moved and never given to another name. Do not edit while the gateway runs.
version: {version}
count: {count}
"""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What addresses.yaml holds: every block, and the certificate under which each source's ids were learnt."""

    entries: list[Entry] = field(default_factory=list)
    certificates: dict[str, str] = field(default_factory=dict)


class _Row(Strict):
    source: str
    kind: str
    name: str
    id: str | None = None
    block: int = Field(ge=0)
    guard: str | None = None
    new_name: str | None = None
    new_guard: str | None = None
    forgotten: bool = False
    retired: bool = False
    unit: int | None = Field(None, ge=1, le=LAST_UNIT)
    unit_block: int = Field(0, ge=0)
    device: int | None = Field(None, ge=0, lt=MOST_DEVICES)
    device_block: int = Field(0, ge=0)


class _AddressFile(Strict):
    version: int
    count: int | None = None
    certificates: dict[str, str] = Field(default_factory=dict)
    blocks: list[_Row] | None = None


def addresses_text(entries: Iterable[Entry], certificates: Mapping[str, str]) -> str:
    """The whole file."""
    rows = [f"  - {{{_row(entry)}}}\n" for entry in entries]
    shown = ", ".join(f"{_text(source)}: {_text(certificates[source])}" for source in sorted(certificates))
    known = f"certificates: {{{shown}}}\n" if shown else ""
    return _HEAD.format(version=VERSION, count=len(rows)) + known + "blocks:\n" + "".join(rows)


def _row(entry: Entry) -> str:
    names = f"source: {_text(entry.source)}, kind: {_text(entry.kind)}, name: {_text(entry.name)}"
    texts = {"guard": entry.guard, "new_name": entry.new_name, "new_guard": entry.new_guard}
    more = [f"{key}: {_text(value)}" for key, value in texts.items() if value is not None]
    more += ["forgotten: true"] * entry.forgotten + ["retired: true"] * entry.retired
    if entry.unit is not None:
        more += [f"unit: {entry.unit}", f"unit_block: {entry.unit_block}"]
    if entry.device is not None:
        more += [f"device: {entry.device}", f"device_block: {entry.device_block}"]
    return ", ".join((f"{names}, id: {_text(entry.id)}, block: {entry.block}", *more))


def _text(value: str | None) -> str:
    """A YAML double-quoted string on one line; half a surrogate pair cannot stand in a file and becomes U+FFFD."""
    return "null" if value is None else f'"{"".join(_escape(char) for char in value)}"'


def _escape(char: str) -> str:
    code = ord(char)
    if char in '"\\':
        return "\\" + char
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if char.isprintable():
        return char
    return f"\\U{code:08x}"


def read_addresses(path: Path) -> tuple[Addresses, list[Fault]]:
    """What a file holds, and what is wrong with it.

    Raises:
        ConfigError: a newer gateway wrote it.
    """
    document = read_yaml(path, LARGEST_FILE)
    version = document.data.get("version") if isinstance(document.data, dict) else None
    if isinstance(version, int) and version > VERSION:
        text = f"was written by a newer gateway (version {version}); run that one, or restore a backup"
        raise ConfigError([document.fault(("version",), text)])
    if document.faults:
        return Addresses(), document.faults
    model, faults = validate(_AddressFile, document)
    if model is None:
        return Addresses(), faults
    rows = model.blocks or []
    if model.count is not None and model.count != len(rows):
        faults.append(document.fault(("count",), f"{model.count} blocks were written, and {len(rows)} are there"))
    names: set[tuple[str, str, str]] = set()
    blocks: set[tuple[str, str, int]] = set()
    seats: set[tuple[str, int, int]] = set()
    stands: set[tuple[str, int, int]] = set()
    for i, row in enumerate(rows):
        name, block = (row.source, row.kind, row.name), (row.source, row.kind, row.block)
        twice = not row.retired and name in names
        if twice or block in blocks:
            what = "name" if twice else "block"
            faults.append(document.fault(("blocks", i, what), f"this {what} stands twice"))
        names |= set() if row.retired else {name}
        blocks.add(block)
        if row.unit is not None:
            seat = (row.kind, row.unit, row.unit_block)
            if seat in seats:
                faults.append(document.fault(("blocks", i, "unit"), "this unit and unit_block stand twice"))
            seats.add(seat)
        if row.device is not None:
            stand = (row.kind, row.device, row.device_block)
            if stand in stands:
                faults.append(document.fault(("blocks", i, "device"), "this device and device_block stand twice"))
            stands.add(stand)
    return Addresses([Entry(**row.model_dump()) for row in rows], model.certificates), faults
