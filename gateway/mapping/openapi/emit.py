"""Plain data as YAML text with comments, readable by the strict reader; PyYAML writes no comments."""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"true", "false", "null"})


def flow(value: Any) -> str:
    """A value on one line; every text is quoted, as mappings want their paths."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def key_text(key: str) -> str:
    """A key, quoted when YAML could take it for something else."""
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS else json.dumps(key, ensure_ascii=False)


def comment(text: str) -> str:
    """Text that came from a product's file, safe behind `#`."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def line(depth: int, key: str, value: Any, note: str = "") -> str:
    """`key: value  # note` at a depth."""
    text = f"{'  ' * depth}{key_text(key)}: {flow(value)}"
    return f"{text}  # {comment(note)}" if note else text


def note_line(depth: int, text: str) -> str:
    """A comment on a line of its own."""
    return f"{'  ' * depth}# {comment(text)}"
