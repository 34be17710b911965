"""Mapping files: `extends`, validation, compilation, and the checks that need the whole file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.check import validate
from gateway.config.strict_yaml import Document, KeyPath, read_yaml, shown_path
from gateway.core.errors import Fault
from gateway.core.point import Product
from gateway.core.registers import Order
from gateway.mapping.compile import compile_kinds, compile_passwd
from gateway.mapping.findings import Findings, Nearest
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
    """Loads one mapping; orders are the server's, for whatever does not say its own.

    A mapping with faults that do not keep it from being compiled is returned with them, for further checks.
    """
    document, root = _read_chain(file.resolve(), [])
    if document.faults:
        return None, document.faults
    model, faults = validate(MappingFile, document)
    if model is None:
        return None, faults
    found = Findings(document)
    near = Nearest(word_order=word_order, byte_order=byte_order).under(model)
    kinds = compile_kinds(model, near, found)
    pool = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    base = model.base if model.base is not None else BASES[model.product]
    product = Product(model.product, base, pool, kinds, compile_passwd(model, found))
    return LoadedMapping(file, product, document, found.warnings), found.faults


def mapping_files(file: Path) -> list[Path]:
    """A mapping and the files it extends, one after the other; a chain that is broken ends where it breaks."""
    found: list[Path] = []
    at = file.resolve()
    while at not in found and at.is_file() and len(found) <= DEEPEST_CHAIN:
        found.append(at)
        data = read_yaml(at).data
        base = data.get("extends") if isinstance(data, dict) else None
        at = (at.parent / base).resolve() if isinstance(base, str) else at
    return found


def _read_chain(file: Path, seen: list[Path]) -> tuple[Document, Path]:
    """A file merged onto what it extends, and the file at the end of the chain; marks of every file are kept."""
    document = read_yaml(file)
    data = document.data
    if not isinstance(data, dict) or "extends" not in data:
        return document, file
    name = data.pop("extends")
    if not isinstance(name, str):
        document.faults.append(document.fault(("extends",), "must be a file name"))
        return document, file
    seen = [*seen, file]
    base_file = (file.parent / name).resolve()
    problem = None
    if base_file in seen:
        problem = f"{name} leads back to this file: a mapping cannot extend itself"
    elif len(seen) > DEEPEST_CHAIN:
        problem = f"more than {DEEPEST_CHAIN} files extend each other"
    elif not base_file.is_file():
        problem = f"there is no file {shown_path(base_file)}"
    if problem is not None:
        document.faults.append(document.fault(("extends",), problem))
        return document, file
    base, root = _read_chain(base_file, seen)
    faults = base.faults + document.faults
    if not faults:
        base.data = _merge(base, document, base.data, data, ())
        base.marks[()] = document.marks[()]
    base.faults = faults + [fault for fault in document.faults if fault not in faults]
    return base, root


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
            if value is None and not _is_body(path):
                known = ", ".join(str(name) for name in old) or "nothing"
                text = f"null removes, and there is no {key!r} in the file this one extends; there is: {known}"
                over.faults.append(over.fault(at, text, at_key=True))
                continue
            merged[key] = _merge(base, over, merged.get(key), value, at)
            base.keys[at] = over.keys.get(at, base.keys.get(at, over.marks[()]))
        return merged
    _forget(base, path)
    for marks, others in ((base.marks, over.marks), (base.keys, over.keys)):
        marks.update({at: mark for at, mark in others.items() if at[: len(path)] == path})
    return new


def _is_body(path: KeyPath) -> bool:
    """Whether null is a value here: in what is sent to the product."""
    if path[:2] == ("passwd", "body"):
        return True
    said = path[2:3] + path[4:5]
    if said == ("actions", "codes"):
        return len(path) > 5
    return said == ("points", "command") and path[5:6] in (("body",), ("release",))


def _forget(document: Document, path: KeyPath) -> None:
    for marks in (document.marks, document.keys):
        for at in [at for at in marks if at[: len(path)] == path]:
            del marks[at]
