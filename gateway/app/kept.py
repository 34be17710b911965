"""What a gateway starts with when its files would move published addresses: the files it served with last.

A configuration that moves published addresses is refused, and a BMS that reads them must not lose its gateway over
somebody's edit: the files that were last served with are kept in the state directory, and are served instead, with
an alarm, until the files are mended or the moves accepted. Without kept files the start is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Protocol

import structlog

from gateway.addressing.served import Difference
from gateway.app.load import Site, load_site
from gateway.app.published import HOW, Moment, Serving, moment_of, move_faults, publish_file, refused_moves
from gateway.config import LoadedConfig
from gateway.config.load import at_root
from gateway.core.errors import ConfigError
from gateway.engine.alarms import Alarms
from gateway.mapping import mapping_files
from gateway.store.published import AcceptedFiles, is_published, load_accepted, mend, save_accepted

ALARM, MENDED = "addresses.moved", "addresses.published_mended"
log = structlog.get_logger("addresses")


def site_to_run(file: Path, *, accept_moves_of: str = "") -> tuple[Site, str]:
    """The site to start with, and the alarm that it is not the one of its files ("" when it is).

    `accept_moves_of` is a user who wants what was published to move: today's map is the published one then.

    Raises:
        ConfigError: the files are wrong, or would move published addresses and no earlier ones are kept.
    """
    site = load_site(file)
    if accept_moves_of and is_published(site.state_dir):
        for text in publish_file(site, user=accept_moves_of, accept_moves=True):
            log.warning("addresses.published", user=accept_moves_of, said=text)
    refused = refused_moves(site)
    if not refused:
        return site, ""
    faults = move_faults(site, refused)
    for fault in faults:
        log.error("addresses.move_refused", reason=str(fault))
    earlier = earlier_site(site, file)
    if earlier is None:
        raise ConfigError(faults)
    return earlier, moved_text(refused)


def moved_text(refused: Sequence[Difference]) -> str:
    """The alarm: what runs instead, and what to do."""
    first = refused[0]
    more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    text = f"the files would move published addresses ({first.name}: {first.text}{more})"
    return f"{text}; what was served last runs on instead: mend the files, or {HOW}"


def earlier_site(site: Site, file: Path) -> Site | None:
    """The site of the files that were served last, if they still fit what was published; None if they do not."""
    with contextlib.suppress(ConfigError):
        kept = load_accepted(site.state_dir)
        if kept is None:
            return None
        with tempfile.TemporaryDirectory(prefix="evce-gateway-") as name:
            root = Path(name).resolve()
            for path, text in kept.files.items():
                copy = at_root(root, Path(path))
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(text, encoding="utf-8")
            earlier = load_site(file, root)
        if earlier.state_dir == site.state_dir and not refused_moves(earlier):
            return replace(earlier, loaded=_named_as(earlier.loaded, file))
    return None


def _named_as(loaded: LoadedConfig, file: Path) -> LoadedConfig:
    """Later faults name the file that people know."""
    loaded.document.file = str(file)
    return replace(loaded, root=None)


def files_of(loaded: LoadedConfig) -> dict[str, str]:
    """The text of config.yaml and of every mapping it names, by absolute path; none if one cannot be read."""
    files = [Path(loaded.document.file).resolve()]
    for mapping in dict.fromkeys(loaded.path(source.mapping) for source in loaded.config.sources):
        files += mapping_files(mapping)
    try:
        return {str(path): path.read_text(encoding="utf-8") for path in files}
    except (OSError, UnicodeDecodeError) as error:
        log.warning("addresses.not_kept", reason=str(error))
        return {}


class Alarmed(Serving, Protocol):
    """A gateway that can tell its operator something."""

    alarms: Alarms


class KeptFiles:
    """Keeps the files of what is served; read when they are taken over, for somebody may be editing them since.

    A gateway that runs on earlier files, because its own would move published addresses (`moved`, the alarm), keeps
    those as they are.
    """

    def __init__(self, serving: Alarmed, moved: str = "") -> None:
        self._serving, self._earlier = serving, bool(moved)
        self._files = {} if moved else files_of(serving.site.loaded)
        self._writing, self._made, self._written = Lock(), 0, 0
        if moved:
            serving.alarms.set(ALARM, moved)

    def take_over(self) -> None:
        """Other files are served from now on."""
        self._earlier, self._files = False, files_of(self._serving.site.loaded)
        self._serving.alarms.clear(ALARM)

    async def keep(self) -> None:
        """Mends what is damaged, and writes files and map as they are now, beside the event loop."""
        try:
            said = await asyncio.to_thread(mend, self._serving.site.state_dir)
        except OSError as error:
            said = [f"a damaged file of the published map cannot be written: {error.strerror}"]
        except ConfigError as error:
            said = [str(fault) for fault in error.faults]
        if said:
            self._serving.alarms.set(MENDED, "; ".join(said))
        if self._earlier or not self._files:
            return
        await asyncio.to_thread(self._write, *self._now())

    def close(self) -> None:
        """Writes what was discovered since."""
        if not self._earlier and self._files:
            self._write(*self._now())

    def _now(self) -> tuple[int, Mapping[str, str], Moment]:
        self._made += 1
        return self._made, self._files, moment_of(self._serving)

    def _write(self, number: int, files: Mapping[str, str], moment: Moment) -> None:
        """Never over a newer one; a full disk costs only the next start that needs them."""
        accepted = AcceptedFiles(files, f"{moment.map_hash:016x}", moment.served())
        try:
            with self._writing:
                if number > self._written:
                    self._written = number
                    save_accepted(moment.site.state_dir, accepted)
        except OSError as error:
            log.warning("addresses.not_kept", reason=str(error))


__all__ = ["ALARM", "KeptFiles", "earlier_site", "moved_text", "site_to_run"]
