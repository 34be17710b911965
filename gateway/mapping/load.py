"""Mapping files: `extends`, validation, compilation, and the checks that need the whole file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.check import validate
from gateway.config.strict_yaml import Document, KeyPath, read_yaml
from gateway.core.errors import Fault
from gateway.core.point import KindSpec, Product
from gateway.core.registers import Order
from gateway.mapping.compile import Findings, KindCompiler, Nearest
from gateway.mapping.models import MappingFile

BASES = {"evce": "/api/v2", "bender": "/v1"}
DEEPEST_CHAIN = 8


@dataclass(frozen=True, slots=True)
class LoadedMapping:
    """A compiled mapping with its document for faults found later.

    Files that extend one file are a family: their sources share its block pool.
    """

    file: Path
    product: Product
    document: Document
    warnings: list[Fault]


def load_mapping(
    file: Path, word_order: Order = "big", byte_order: Order = "big"
) -> tuple[LoadedMapping | None, list[Fault]]:
    """Loads one mapping; orders are the server's, for whatever does not say its own."""
    document = _read_chain(file.resolve(), [])
    if document.faults:
        return None, document.faults
    model, faults = validate(MappingFile, document)
    if model is None:
        return None, faults
    found = Findings(document)
    near = Nearest(word_order=word_order, byte_order=byte_order).under(model)
    kinds = {name: KindCompiler(name, part, model, near, found).compile() for name, part in model.resources.items()}
    if "source" in kinds:
        found.fault(("resources", "source"), "the resource `source` is built in")
    pool = hashlib.sha256(document.file.encode()).hexdigest()[:12]
    product = Product(model.product, model.base if model.base is not None else BASES[model.product], pool, kinds)
    if found.faults:
        return None, found.faults
    return LoadedMapping(file, product, document, found.warnings), []


def outer_read(kinds: Sequence[KindSpec], kind: KindSpec) -> KindSpec:
    """The kind whose read feeds a kind that lives inside others."""
    by_name = {item.name: item for item in kinds}
    while kind.within is not None:
        kind = by_name[kind.within.parent]
    return kind


def _read_chain(file: Path, seen: list[Path]) -> Document:
    """A file merged onto what it extends; marks of every file are kept."""
    document = read_yaml(file)
    data = document.data
    if document.faults or not isinstance(data, dict) or "extends" not in data:
        return document
    base_name = data.pop("extends")
    if not isinstance(base_name, str):
        document.faults.append(document.fault(("extends",), "must be a file name"))
        return document
    seen = [*seen, file]
    base_file = (file.parent / base_name).resolve()
    if base_file in seen or len(seen) > DEEPEST_CHAIN:
        document.faults.append(document.fault(("extends",), f"{base_name} extends this file again"))
        return document
    base = _read_chain(base_file, seen)
    if base.faults:
        if not base_file.exists():
            base.faults = [document.fault(("extends",), f"{base_file} cannot be read: there is no such file")]
        return base
    base.data = _merge(base, document, base.data, data, ())
    base.marks[()] = document.marks[()]
    return base


def _merge(base: Document, over: Document, old: Any, new: Any, path: KeyPath) -> Any:
    """Mappings merge by key, null removes, anything else replaces; marks follow the values."""
    if isinstance(old, dict) and isinstance(new, dict):
        merged = dict(old)
        for key, value in new.items():
            at = (*path, key)
            if value is None and key in merged:
                del merged[key]
                _forget(base, at)
                continue
            merged[key] = _merge(base, over, merged.get(key), value, at)
            base.keys[at] = over.keys.get(at, base.keys.get(at, over.marks[()]))
        return merged
    _forget(base, path)
    for marks, others in ((base.marks, over.marks), (base.keys, over.keys)):
        marks.update({at: mark for at, mark in others.items() if at[: len(path)] == path})
    return new


def _forget(document: Document, path: KeyPath) -> None:
    for marks in (document.marks, document.keys):
        for at in [at for at in marks if at[: len(path)] == path]:
            del marks[at]
