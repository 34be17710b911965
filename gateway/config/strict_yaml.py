"""The one YAML reader: YAML 1.2 core scalars, no duplicate keys, no sexagesimal numbers or dates, marks kept.

Plain PyYAML turns `12:30` into 750, `no` into False, `010` into 8 and keeps the last of two equal keys; a gateway
that sets power limits cannot afford any of them. A number with leading zeros stays text: nobody knows its base.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.core.errors import Fault

KeyPath = tuple[str | int, ...]
QUOTE_HINT = 'quote it: in YAML `{id}` and `[0]` begin a mapping or a list unless they stand in "..."'
INDENT_HINT = "the indentation of this line does not fit the lines above"
INDENTED = (
    "expected <block end>",
    "did not find expected '-' indicator",
    "did not find expected key",
    "did not find expected <document start>",
    "mapping values are not allowed",
)
"""What the parser says, in C and in Python, about a line that stands too far left or right."""
LARGEST_FILE = 4 * 1024 * 1024
LONGEST_NUMBER = 40
DEEPEST = 60
MOST_NODES = 500_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands: file and 1-based line and column."""

    file: str
    line: int
    col: int


@dataclass(slots=True)
class Document:
    """A file's plain data with the mark of every key path (a key's own mark under `keys`)."""

    data: Any = None
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    file: str = ""

    def fault(self, path: KeyPath, text: str, *, at_key: bool = False) -> Fault:
        """A fault at a key path, at its key if `at_key`, else at its nearest known value."""
        mark = self.keys.get(path) if at_key else None
        for size in range(len(path), -1, -1):
            mark = mark or self.marks.get(path[:size])
        mark = mark or Mark(self.file, 1, 1)
        return Fault(mark.file, mark.line, mark.col, dotted(path), text)


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `sources[0].tls.ca_file`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreLoader(_Base):  # type: ignore[misc]
    """Only used to compose nodes; scalars are resolved with the YAML 1.2 core schema."""


_CoreLoader.yaml_implicit_resolvers = {}
_RESOLVERS: tuple[tuple[str, str, str], ...] = (
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("tag:yaml.org,2002:int", r"^(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$",
        "-+.0123456789",
    ),
)
for _tag, _pattern, _first in _RESOLVERS:
    _CoreLoader.add_implicit_resolver(_tag, re.compile(_pattern), ["" if c == "\0" else c for c in _first])


def shown_path(path: Path) -> str:
    """A file as faults name it: relative to the working directory when it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def read_yaml(path: Path, largest: int = LARGEST_FILE) -> Document:
    """Reads a file; what is wrong with it is in `faults`, all duplicate keys at once."""
    document = Document(file=shown_path(path))
    try:
        if path.stat().st_size > largest:
            document.faults.append(Fault(document.file, 0, 0, "", f"larger than {largest // 1024 // 1024} MB"))
            return document
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        document.faults.append(Fault(document.file, 0, 0, "", f"cannot be read: {error.strerror}"))
        return document
    except UnicodeDecodeError as error:
        document.faults.append(Fault(document.file, 0, 0, "", f"is not UTF-8 text (byte {error.start})"))
        return document
    return parse_yaml(text, document)


def parse_yaml(text: str, document: Document) -> Document:
    """Parses text into `document`; see read_yaml."""
    loader = _CoreLoader(text)
    try:
        deep = _too_deep(text)
        if deep is not None:
            document.faults.append(Fault(document.file, *deep, "", f"nested deeper than {DEEPEST} levels"))
            return document
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, col = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = " ".join(part for part in (error.context, error.problem) if part)
        hint = _hint(text, line, problem)
        document.faults.append(Fault(document.file, line, col, "", f"is not YAML: {problem}{hint}"))
        return document
    except yaml.reader.ReaderError as error:
        code = error.character if isinstance(error.character, int) else ord(error.character)
        before = text.partition(chr(code))[0]
        line, col = before.count("\n") + 1, len(before) - before.rfind("\n")
        problem = f"the character #x{code:02x} is not allowed"
        document.faults.append(Fault(document.file, line, col, "", f"is not YAML: {problem}"))
        return document
    finally:
        loader.dispose()
    if node is not None:
        document.data = _Builder(document).build(node, (), 0)
    return document


def _too_deep(text: str) -> tuple[int, int] | None:
    """Line and column where the nesting gets too deep: composing recurses in C, and the stack would end first."""
    depth = 0
    for event in yaml.parse(text, Loader=_CoreLoader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > DEEPEST:
                mark = event.start_mark
                return (mark.line + 1, mark.column + 1) if mark else (1, 1)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
    return None


def _hint(text: str, line: int, problem: str) -> str:
    """What to do about a syntax fault; the parser often notices at the line below."""
    row = "".join(text.splitlines()[line - 1 : line])
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return " (use spaces, not tabs)"
    if _looks_unquoted(text, line):
        return f" ({QUOTE_HINT})"
    if "mapping values" in problem and row.count(": ") > 1:
        return " (quote a text that holds `: `)"
    return f" ({INDENT_HINT})" if any(words in problem for words in INDENTED) else ""


def _looks_unquoted(text: str, line: int) -> bool:
    lines = text.splitlines()
    return any("{" in row or "[" in row for row in lines[max(0, line - 2) : line])


class _Builder:
    """Nodes to plain data, collecting marks and faults."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: set[int] = set()
        self._nodes = 0

    def build(self, node: yaml.Node, path: KeyPath, depth: int) -> Any:
        mark = Mark(self._document.file, node.start_mark.line + 1, node.start_mark.column + 1)
        self._document.marks[path] = mark
        self._nodes += 1
        if self._nodes > MOST_NODES:
            if self._nodes == MOST_NODES + 1:
                self._fault(mark, path, "aliases make this file too large")
            return None
        if id(node) in self._open or depth > DEEPEST:
            self._fault(mark, path, "refers to itself or is nested too deep")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return dict(self._pairs(node, path, depth))
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
            return self._scalar(node, mark, path)
        finally:
            self._open.discard(id(node))

    def _pairs(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> Iterator[tuple[str | int, Any]]:
        seen: set[str | int] = set()
        for key_node, value_node in node.value:
            mark = Mark(self._document.file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(mark, path, f"a key must be plain text; {QUOTE_HINT}")
                continue
            key = key_node.value
            if key in seen:
                self._fault(mark, (*path, key), "duplicate key")
                continue
            seen.add(key)
            self._document.keys[*path, key] = mark
            yield key, self.build(value_node, (*path, key), depth + 1)

    def _scalar(self, node: yaml.Node, mark: Mark, path: KeyPath) -> Any:
        text = str(node.value)
        kind = node.tag.rpartition(":")[2]
        if kind in ("str", "!"):
            return text
        if not any(tag == node.tag and re.match(pattern, text) for tag, pattern, _ in _RESOLVERS):
            self._fault(mark, path, f"the tag {node.tag} is not allowed here")
            return None
        match kind:
            case "bool":
                return text.lower() == "true"
            case "null":
                return None
            case _:
                return self._number(text, mark, path)

    def _number(self, text: str, mark: Mark, path: KeyPath) -> int | float | None:
        if len(text) > LONGEST_NUMBER:
            self._fault(mark, path, f"is no number a gateway can use ({len(text)} characters)")
            return None
        if text.startswith("0x"):
            return int(text, 16)
        if text.lstrip("+-").isdigit():
            return int(text)
        number = float(text)
        if not math.isfinite(number):
            self._fault(mark, path, f"is too large for a number: {text}")
            return None
        return number

    def _fault(self, mark: Mark, path: KeyPath, text: str) -> None:
        self._document.faults.append(Fault(mark.file, mark.line, mark.col, dotted(path), text))
