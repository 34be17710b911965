"""Names that are different to a machine and the same to a person: case, spaces, Unicode form (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def lookalikes(names: Iterable[str]) -> list[list[str]]:
    """Groups of two or more different names that look alike, in the order of the names."""
    groups: dict[str, dict[str, None]] = {}
    for name in names:
        groups.setdefault(_folded(name), {})[name] = None
    return [list(group) for group in groups.values() if len(group) > 1]


def _folded(name: str) -> str:
    if name.isascii():
        return " ".join(name.lower().split())
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
