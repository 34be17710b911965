"""`state.last.json`: the command states once more, in a second file, for the day the database is damaged.

It is seconds old at most while anything changes. `serial` counts what the journal was given; the file with the higher
serial is the newer one. The last line is the SHA-256 of what stands before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gateway.store.chain import Head
from gateway.store.files import replace

GENERATION = "state.last.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Generation:
    """All states (JSON texts by key) at one moment; `saved` is its UTC time in words."""

    saved: str
    serial: int
    head: Head
    states: Mapping[str, str]


def write_generation(folder: Path, generation: Generation) -> None:
    """Replaces the file; raises OSError."""
    document = {
        "version": VERSION,
        "saved": generation.saved,
        "serial": generation.serial,
        "head": [generation.head.seq, generation.head.hash],
        "states": dict(generation.states),
    }
    body = json.dumps(document, indent=0).encode("ascii") + b"\n"
    replace(folder / GENERATION, body + sha256(body).hexdigest().encode("ascii") + b"\n", 0o600)


def read_generation(folder: Path) -> Generation | None:
    """The file's content; None when there is none, it is damaged, or a newer gateway wrote it."""
    try:
        body, _, digest = (folder / GENERATION).read_bytes().rstrip(b"\n").rpartition(b"\n")
        body += b"\n"
        if sha256(body).hexdigest().encode("ascii") != digest:
            return None
        document = json.loads(body)
        if document["version"] != VERSION:
            return None
        head = Head(*document["head"])
        return Generation(document["saved"], document["serial"], head, document["states"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
