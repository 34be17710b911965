"""What can be saved from the page: every export of the running map, made when it is asked for, and the last check-out.

Rules of this file: a file is made beside the loop, one at a time; points that come meanwhile make it fail in words, and
the next try holds them.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError
from gateway.export import FORMATS, Document, MapSpec, What, documents
from gateway.export.documents import MEDIA
from gateway.web.ports import File, Unknown

WORDS: dict[What, str] = {
    "registers": "Register list: every point with its Modbus registers and its BACnet object",
    "ede": "EDE files: every BACnet object, with state texts, units and object types",
    "pics": "PICS: what the BACnet server does",
    "points": "Point list for programs",
}
ARCHIVE = "application/zip"
REPORTS = {"html": "Report of the last check-out, to print", "json": "Report of the last check-out, for programs"}


class Downloads:
    """The exports; `spec` gives the map as it is served now, `state_dir` is where reports of check-outs are kept."""

    def __init__(self, spec: Callable[[], MapSpec], state_dir: Path, *, bacnet: Callable[[], bool]) -> None:
        self._spec, self._state_dir, self._bacnet = spec, state_dir, bacnet
        self._one = asyncio.Lock()

    def all(self) -> list[dict[str, Any]]:
        """What there is, by name, in words."""
        return [
            {"name": name, "text": WORDS[what], "media": ARCHIVE if what == "ede" else MEDIA[form]}
            for name, (what, form) in self._names().items()
        ] + [{"name": file.name, "text": REPORTS[form], "media": MEDIA[form]} for form, file in self._reports().items()]

    def _reports(self) -> dict[str, Path]:
        """The newest report of each form; their names begin with their time."""
        found: dict[str, Path] = {}
        for form in REPORTS:
            files = [
                file for place in (".", "checkout") for file in (self._state_dir / place).glob(f"checkout-*.{form}")
            ]
            if files:
                found[form] = max(files, key=lambda file: file.name)
        return found

    def _names(self) -> dict[str, tuple[What, str]]:
        """The name of each file, and what it is."""
        served = [what for what in WORDS if self._bacnet() or what not in ("ede", "pics")]
        return {f"{w}.{'zip' if w == 'ede' else form}": (w, form) for w in served for form in FORMATS[w]}

    async def get(self, name: str) -> File:
        """One file.

        Raises:
            Unknown: there is none of this name.
            GatewayError: it cannot be made now, in words.
        """
        for form, file in self._reports().items():
            if file.name == name:
                return File(name, MEDIA[form], await asyncio.to_thread(file.read_bytes))
        found = self._names().get(name)
        if found is None:
            raise Unknown(f"there is no download {name!r}")
        async with self._one:
            try:
                made = await asyncio.to_thread(lambda: documents(self._spec(), *found))
            except RuntimeError as error:  # a dict grew while it was walked through
                raise GatewayError("points are being added just now: try again") from error
        return File(name, made[0].media, made[0].content) if len(made) == 1 else File(name, ARCHIVE, _packed(made))


def _packed(made: list[Document]) -> bytes:
    """Several files as one."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for document in made:
            archive.writestr(document.name, document.content)
    return packed.getvalue()
