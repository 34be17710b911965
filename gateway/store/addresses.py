"""The text of addresses.yaml: read strictly, written readably."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from gateway.addressing import Entry
from gateway.config.check import Strict, validate
from gateway.config.strict_yaml import read_yaml
from gateway.core.errors import ConfigError, Fault

VERSION = 1
LARGEST_FILE = 64 * 1024 * 1024
_HEAD = """\
# Addresses of the EVCE gateway: which block belongs to which name. Append-only; part of every backup.
# A block is never moved and never given to another name. Do not edit while the gateway runs.
version: {version}
count: {count}
blocks:
"""


class _Row(Strict):
    source: str
    kind: str
    name: str
    id: str | None = None
    block: int = Field(ge=0)


class _AddressFile(Strict):
    version: int
    count: int | None = None
    blocks: list[_Row] | None = None


def addresses_text(entries: Iterable[Entry]) -> str:
    """The whole file."""
    rows = [f"  - {{{_row(entry)}}}\n" for entry in entries]
    return _HEAD.format(version=VERSION, count=len(rows)) + "".join(rows)


def _row(entry: Entry) -> str:
    names = f"source: {_text(entry.source)}, kind: {_text(entry.kind)}, name: {_text(entry.name)}"
    return f"{names}, id: {_text(entry.id)}, block: {entry.block}"


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


def read_addresses(path: Path) -> tuple[list[Entry], list[Fault]]:
    """The entries of a file, and what is wrong with it.

    Raises:
        ConfigError: a newer gateway wrote it.
    """
    document = read_yaml(path, LARGEST_FILE)
    version = document.data.get("version") if isinstance(document.data, dict) else None
    if isinstance(version, int) and version > VERSION:
        text = f"was written by a newer gateway (version {version}); run that one, or restore a backup"
        raise ConfigError([document.fault(("version",), text)])
    if document.faults:
        return [], document.faults
    model, faults = validate(_AddressFile, document)
    if model is None:
        return [], faults
    rows = model.blocks or []
    if model.count is not None and model.count != len(rows):
        faults.append(document.fault(("count",), f"{model.count} blocks were written, and {len(rows)} are there"))
    names: set[tuple[str, str, str]] = set()
    blocks: set[tuple[str, str, int]] = set()
    for i, row in enumerate(rows):
        name, block = (row.source, row.kind, row.name), (row.source, row.kind, row.block)
        if name in names or block in blocks:
            what = "name" if name in names else "block"
            faults.append(document.fault(("blocks", i, what), f"this {what} stands twice"))
        names.add(name)
        blocks.add(block)
    return [Entry(row.source, row.kind, row.name, row.id, row.block) for row in rows], faults
