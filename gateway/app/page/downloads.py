"""What can be saved from the page: name, what it is, and how it is made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.web.ports import File, Unknown


@dataclass(frozen=True, slots=True)
class Download:
    """One file: its name, what it is in words, its media type, and what makes its content (beside the loop)."""

    name: str
    text: str
    media: str
    make: Callable[[], bytes]


class Downloads:
    """A fixed list of files, made when they are asked for."""

    def __init__(self, files: Mapping[str, Download]) -> None:
        self._files = files

    def all(self) -> list[dict[str, Any]]:
        """What there is."""
        return [{"name": file.name, "text": file.text, "media": file.media} for file in self._files.values()]

    async def get(self, name: str) -> File:
        """One file; raises Unknown."""
        file = self._files.get(name)
        if file is None:
            raise Unknown(f"there is no download {name!r}")
        return File(file.name, file.media, await asyncio.to_thread(file.make))


def as_json(rows: Any) -> bytes:
    """JSON for people and programs."""
    return (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
