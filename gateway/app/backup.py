"""What `backup` and `restore` do: which files make a site, and how a site becomes what an archive says.

Rules of this file: everything is checked before anything is touched; what was there before is kept beside.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from gateway import __version__
from gateway.app.load import Site, load_site
from gateway.app.offline import offline_points
from gateway.config import LoadedConfig, load_config
from gateway.config.web import WebTls
from gateway.core.errors import ConfigError, Fault, GatewayError
from gateway.mapping import mapping_files
from gateway.store import ADDRESSES, Store
from gateway.store.addresses import read_addresses
from gateway.store.backup import Manifest, holds_key, read_archive, state_files, write_archive
from gateway.store.files import link, replace, sync_folder

NOT_STATE = frozenset({"lock", "control.sock", "tokens"})


class RestoreRefused(GatewayError):
    """Something is in the way of a restore; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup: how many files it holds, what it lacks, and what has to be put back by hand after a restore."""

    files: int
    left_out: list[str]
    by_hand: list[str]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, in sentences, and what the check of the result found."""

    said: list[str]
    faults: list[Fault]


# -- backup ----------------------------------------------------------------------------------------------------------


def make_backup(site: Site, config: Path, target: Path) -> Made:
    """Writes an archive of configuration, mappings and state; the gateway may run meanwhile.

    Raises:
        RestoreRefused: the archive would lie in the state directory, and so in the next archive.
        ArchiveFault: a database cannot be copied, or is damaged.
        OSError: something cannot be read or written.
    """
    state = site.state_dir.resolve()
    if target.resolve().is_relative_to(state):
        raise RestoreRefused(f"{target} is inside the state directory: write the backup elsewhere")
    folder = site.loaded.folder
    files: dict[str, Path] = {}
    outside: dict[str, str] = {}
    wanted = [config.resolve(), *_mappings(site), *_certificates(site.loaded)]
    for path in dict.fromkeys(wanted):
        if path.is_relative_to(folder):
            files[f"config/{path.relative_to(folder).as_posix()}"] = path
        else:
            member = f"outside/{len(outside)}-{path.name}"
            files[member], outside[member] = path, str(path)
    secrets = [site.loaded.path(file) for _, file, _ in _secrets(site.loaded) if file]
    taken = {path.resolve() for path in files.values()}
    for path in state_files(state, secrets):
        if path.resolve() not in taken:
            files[f"state/{path.relative_to(state).as_posix()}"] = path
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    by_hand = list(_by_hand(site.loaded))
    manifest = Manifest(__version__, made, f"config/{config.resolve().name}", outside, by_hand)
    return Made(*write_archive(target, files, manifest), by_hand)


def _mappings(site: Site) -> list[Path]:
    return [p for source in site.config.sources for p in mapping_files(site.loaded.path(source.mapping))]


def _certificates(loaded: LoadedConfig) -> list[Path]:
    """Certificates, which are public; a file that holds a private key as well stays out."""
    named = [loaded.path(file) for _, file in _public(loaded)]
    return [path.resolve() for path in named if path.is_file() and not holds_key(path)]


def _secrets(loaded: LoadedConfig) -> Iterator[tuple[str, str | None, str]]:
    """Every password and private key that the configuration names: what it is, its file if it has one, and where."""
    config = loaded.config
    named = [(f"the password of {source.name}", source.password) for source in config.sources]
    if config.bacnet is not None and config.bacnet.dcc_password is not None:
        named.append(("the dcc_password of BACnet", config.bacnet.dcc_password))
    keys = [("the private key of Modbus", config.modbus.tls.key)] if config.modbus and config.modbus.tls else []
    if (page := _page_tls(loaded)) is not None:
        keys.append(("the private key of the page", page.key))
    for what, secret in named:
        where = f"systemd credential {secret.credential}" if secret.credential else f"environment variable {secret.env}"
        yield what, secret.file, f"file {secret.file}" if secret.file else where
    for what, key in keys:
        yield what, key.file, f"file {key.file}" if key.file else f"systemd credential {key.credential}"


def _page_tls(loaded: LoadedConfig) -> WebTls | None:
    web = loaded.config.web
    return web.tls if web is not None and isinstance(web.tls, WebTls) else None


def _public(loaded: LoadedConfig) -> Iterator[tuple[str, str]]:
    """Every file of certificates that the configuration names, with what it is in words."""
    config = loaded.config
    for source in config.sources:
        if source.tls is not None and source.tls.ca_file is not None:
            yield f"the certificate of {source.name}", source.tls.ca_file
    if config.modbus is not None and config.modbus.tls is not None:
        yield "the certificate of Modbus", config.modbus.tls.certificate
        yield "the authority of Modbus clients", config.modbus.tls.client_ca
    if (page := _page_tls(loaded)) is not None:
        yield "the certificate of the page", page.certificate


def _by_hand(loaded: LoadedConfig) -> Iterator[str]:
    for what, _, where in _secrets(loaded):
        yield f"{what}: {where}"
    for what, file in _public(loaded):
        path = loaded.path(file)
        if path.is_file() and holds_key(path):
            yield f"{what}: {file} (it holds a private key)"


# -- restore ---------------------------------------------------------------------------------------------------------


def restore_backup(file: Path, config: Path, *, force: bool) -> Restored:
    """Makes the site of `config` what the archive says, and checks the result.

    Raises:
        ArchiveFault: the archive must not be believed.
        ConfigError: what it holds cannot be used (StateInUse: the gateway runs).
        RestoreRefused: something is in the way.
        OSError: something cannot be written.
    """
    folder = config.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as name:
        unpacked = Path(name)
        manifest = read_archive(file, unpacked)
        state = _state_of(unpacked, manifest, folder)
        if folder.is_relative_to(state):
            raise RestoreRefused(
                f"{config} is inside the state directory {state}: give the configuration a folder of its own"
            )
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        targets = _config_targets(unpacked, manifest, config)
        with _locked(state):
            _refuse_overwriting(state, targets, force=force)
            said = _place_state(unpacked / "state", state, moment)
            said += _place_config(targets, moment)
        said += _place_outside(unpacked, manifest, folder)
    said += [f"put back by hand: {text}" for text in manifest.by_hand]
    return Restored(said, _check(config))


def _state_of(unpacked: Path, manifest: Manifest, folder: Path) -> Path:
    """Where the archive's own configuration keeps its state; configuration and addresses are read strictly."""
    loaded, faults = load_config(unpacked / manifest.config)
    if loaded is None or faults:
        raise ConfigError(faults)
    book = unpacked / "state" / ADDRESSES
    if book.exists():
        _, faults = read_addresses(book)
        if faults:
            raise ConfigError(faults)
    return (folder / loaded.config.state_dir).resolve()


def _config_targets(unpacked: Path, manifest: Manifest, config: Path) -> dict[Path, Path]:
    """Unpacked file -> where it goes; the configuration itself to the name that was asked for."""
    base = unpacked / "config"
    found = {path: config.resolve().parent / path.relative_to(base) for path in base.rglob("*") if path.is_file()}
    return found | {unpacked / manifest.config: config.resolve()}


@contextlib.contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Keeps a gateway from starting on a state directory that is there already."""
    store = Store(state)
    if state.exists():
        store.open()
    try:
        yield
    finally:
        store.close()


def _refuse_overwriting(state: Path, targets: dict[Path, Path], *, force: bool) -> None:
    held = {path.name for path in state.iterdir()} - NOT_STATE if state.exists() else set()
    if held and not any(name.startswith((ADDRESSES, "state.db")) for name in held):
        raise RestoreRefused(f"{state} is not empty and is no state of a gateway: empty it first")
    ways = [str(state)] if held else []
    ways += [str(new) for old, new in targets.items() if new.exists() and new.read_bytes() != old.read_bytes()]
    if ways and not force:
        raise RestoreRefused(f"would replace {', '.join(ways)}: say --force to keep the old beside and do it")


def _place_state(unpacked: Path, state: Path, moment: str) -> list[str]:
    """The new state beside the old one, then both change places; a crash leaves one of them whole."""
    state.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{state.name}.restoring-", dir=state.parent))
    try:
        unpacked.mkdir(exist_ok=True)
        shutil.copytree(unpacked, new, dirs_exist_ok=True)
        _own(new, state if state.exists() else state.parent)
        for path in (*new.rglob("*"), new):
            path.chmod(0o700 if path.is_dir() else 0o600)
            sync_folder(path)
        files = sum(path.is_file() for path in new.rglob("*"))
        kept = _exchange(state, new, _kept(state, moment))
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise
    old = f" (what was there is {kept})" if kept is not None else ""
    return [f"restored {files} files of the state to {state}{old}"]


def _kept(path: Path, moment: str) -> Path:
    """A free name for what was there before; two restores may come within one second."""
    first = path.with_name(f"{path.name}.before-restore-{moment}")
    numbered = (first.with_name(f"{first.name}-{number}") for number in count(2))
    return next(name for name in chain([first], numbered) if not name.exists())


def _exchange(state: Path, new: Path, kept: Path) -> Path | None:
    """Puts `new` in the place of `state`, which is kept if it held anything; sessions stay this machine's."""
    if not state.exists():
        new.rename(state)
        sync_folder(state.parent)
        return None
    held = {path.name for path in state.iterdir()} - NOT_STATE
    state.rename(kept)
    try:
        new.rename(state)
    except OSError:
        kept.rename(state)
        raise
    if (kept / "tokens").is_dir():
        (kept / "tokens").rename(state / "tokens")
    sync_folder(state.parent)
    if held:
        return kept
    shutil.rmtree(kept)
    return None


def _own(folder: Path, like: Path) -> None:
    """Root leaves the files to whom the old ones belonged."""
    if os.geteuid() == 0:
        owner = like.stat()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)


def _place_config(targets: dict[Path, Path], moment: str) -> list[str]:
    said: list[str] = []
    for source, target in targets.items():
        content = source.read_bytes()
        if target.exists() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        old = ""
        if target.exists():
            kept = _kept(target, moment)
            link(target, kept)
            old = f" (what was there is {kept.name})"
        replace(target, content, 0o600)
        target.chmod(source.stat().st_mode & 0o777)
        said.append(f"restored {target}{old}")
    return said


def _place_outside(unpacked: Path, manifest: Manifest, folder: Path) -> list[str]:
    """What stood outside the configuration's folder is never written there: an archive does not choose its targets."""
    said: list[str] = []
    for member, original in manifest.outside.items():
        source = unpacked / member
        there = Path(original)
        if source.is_file() and not (there.is_file() and there.read_bytes() == source.read_bytes()):
            copy = folder / "from-backup" / source.name
            copy.parent.mkdir(exist_ok=True)
            replace(copy, source.read_bytes(), 0o600)
            said.append(f"put back by hand: {original}, which stands outside {folder}; its copy is {copy}")
    return said


def _check(config: Path) -> list[Fault]:
    """The faults that `check` would find."""
    try:
        offline_points(load_site(config))
    except ConfigError as error:
        return error.faults
    return []
