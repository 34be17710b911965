"""What a running gateway takes over from its files: passwords, and a new try for logins that were refused.

Rules of this file: anything else that changed is told, with its faults, and needs a restart; what runs goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from gateway.app.load import load_site
from gateway.app.passwords import Password
from gateway.config import LoadedConfig
from gateway.config.strict_yaml import shown_path
from gateway.core.circuit import SourceState
from gateway.core.errors import ConfigError
from gateway.engine.health import Health
from gateway.engine.poller import Poller
from gateway.engine.ports import Clock
from gateway.mapping import mapping_files

log = structlog.get_logger("gateway")


@dataclass(slots=True)
class Reloaded:
    """What a reload came to, in sentences; `refused` is what was not taken over."""

    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def contents(loaded: LoadedConfig) -> dict[Path, str]:
    """Every file of the site's configuration with a hash of its content, "" for one that cannot be read."""
    files = [Path(loaded.document.file).resolve()]
    for mapping in dict.fromkeys(loaded.path(source.mapping) for source in loaded.config.sources):
        files += mapping_files(mapping)
    return {file: _hash(file) for file in files}


def _hash(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def reload(
    running: Mapping[Path, str],
    passwords: Mapping[str, Password],
    pollers: Mapping[str, Poller],
    user: str,
    clock: Clock,
) -> Reloaded:
    """Reads passwords again, lets refused logins try at once, and says what else differs from what runs.

    `running` is `contents` of the start; `clock` is that of the pollers.
    """
    found = Reloaded()
    for name, password in passwords.items():
        possible, text = password.reread()
        (found.done if possible else found.refused).append(f"{name}: {text}")
        if pollers[name].retry():
            found.done.append(f"{name}: its login was refused; it is tried again now")
        found.done += _taken(name, pollers[name].health, clock)
    changed = [file for file, before in running.items() if _hash(file) != before]
    for file in changed:
        found.refused.append(f"{shown_path(file)} differs from what is running: restart the gateway to use it")
    if changed:
        found.refused += _faults(next(iter(running)))
    log.info("gateway.reload", user=user, done="; ".join(found.done))
    if found.refused:
        log.warning("gateway.reload_refused", user=user, reason="; ".join(found.refused))
    return found


def _taken(name: str, health: Health, clock: Clock) -> list[str]:
    """A pause that leaves the session to somebody else is not cut short."""
    if health.state is not SourceState.TAKEN or health.next_try is None:
        return []
    end = datetime.fromtimestamp(clock.wall() + health.next_try - clock.monotonic()).astimezone()
    return [f"{name}: another login takes its session; the pause goes on until {end:%H:%M}"]


def _faults(config: Path) -> list[str]:
    """What would keep the changed files from starting."""
    try:
        load_site(config)
    except ConfigError as error:
        return [f"and it would not start: {fault}" for fault in error.faults]
    return []
