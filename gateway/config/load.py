"""Reading config.yaml and the secrets it points to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from gateway.config.check import validate
from gateway.config.downstream import ModbusClients
from gateway.config.fields import Secret
from gateway.config.models import Config, SourceOutline, Tls
from gateway.config.strict_yaml import Document, KeyPath, read_yaml
from gateway.core.errors import ConfigError, Fault

CREDENTIALS_OF_FOLDER = "secrets_"
"""What systemd puts before the names of credentials that our units load as a folder (systemd.exec(5))."""
NO_CREDENTIALS = (
    "is not there: systemd gives credentials (LoadCredential=) and gave this process none; elsewhere use {file: ...}"
)


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, the folder its paths are relative to, and its document for later faults.

    `root` holds files of an earlier time under their absolute paths; a file that is there is meant instead.
    """

    config: Config
    folder: Path
    document: Document
    root: Path | None = None

    def path(self, text: str) -> Path:
        """A path of the file, made absolute."""
        path = self.folder / text
        earlier = None if self.root is None else at_root(self.root, path)
        return earlier if earlier is not None and earlier.is_file() else path


def at_root(root: Path, path: Path) -> Path:
    """Where a file of an earlier time is kept."""
    whole = path.resolve()
    return root / whole.relative_to(whole.anchor)


def load_config(file: Path, root: Path | None = None) -> tuple[LoadedConfig | None, list[Fault]]:
    """Loads and checks config.yaml alone; mappings are checked by gateway.mapping. `root` as in LoadedConfig."""
    document = read_yaml(file if root is None else at_root(root, file))
    if document.faults:
        return None, document.faults
    config, faults = validate(Config, document)
    if config is None:
        return None, faults
    faults = _cross_checks(config, document)
    return LoadedConfig(config, file.resolve().parent, document, root), faults


def outline_of(file: Path, source: str) -> SourceOutline | None:
    """One source of a file that may be wrong or unfinished elsewhere, its `tls` included; None without such a source.

    Raises:
        ConfigError: the file is no YAML, or this source has no usable url.
    """
    document = read_yaml(file)
    if document.faults:
        raise ConfigError(document.faults)
    sources = document.data.get("sources") if isinstance(document.data, dict) else None
    for i, item in enumerate(sources if isinstance(sources, list) else ()):
        if isinstance(item, dict) and item.get("name") == source:
            try:
                return SourceOutline.model_validate({**item, "tls": _usable_tls(item.get("tls"))})
            except ValidationError as error:
                text = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
                raise ConfigError([document.fault(("sources", i, "url"), text)]) from error
    return None


def _usable_tls(given: object) -> Tls | None:
    try:
        return Tls.model_validate(given)
    except ValidationError:
        return None


def _cross_checks(config: Config, document: Document) -> list[Fault]:
    faults: list[Fault] = []
    _unique(faults, document, [((*("sources", i), "name"), s.name) for i, s in enumerate(config.sources)])
    if config.modbus is None and config.bacnet is None:
        faults.append(document.fault((), "neither modbus nor bacnet is configured: nothing would be served"))
    if config.modbus is not None:
        groups = config.modbus.clients
        _unique(faults, document, [(("modbus", "clients", i, "name"), g.name) for i, g in enumerate(groups)])
        writers: dict[int, ModbusClients] = {}
        for i, group in enumerate(groups):
            other = writers.setdefault(group.slot, group) if group.write else group
            if other is not group and not (group.shared and other.shared):
                text = f"slot {group.slot} is already written by {other.name!r}; give each group its own"
                text += ", or say shared: true on both: the last writer then owns it"
                faults.append(document.fault(("modbus", "clients", i, "slot"), text))
    return faults


def _unique(faults: list[Fault], document: Document, named: list[tuple[KeyPath, str]]) -> None:
    seen: set[str] = set()
    for path, name in named:
        if name in seen:
            faults.append(document.fault(path, f"the name {name!r} is used twice"))
        seen.add(name)


def read_secret_at(loaded: LoadedConfig, at: KeyPath, secret: Secret) -> str:
    """As read_secret; what is wrong is told at its key in config.yaml, where `at` is the secret's own."""
    try:
        return read_secret(secret, loaded.folder)
    except ConfigError as error:
        key = next(key for key in ("env", "credential", "file") if getattr(secret, key) is not None)
        faults = [loaded.document.fault((*at, key), f"{one.file} {one.text}") for one in error.faults]
        raise ConfigError(faults) from error


def read_secret(secret: Secret, folder: Path) -> str:
    """The password a source's `password` points to, without a trailing line end.

    Raises:
        ConfigError: it is not there, in words; the value itself is never part of a text.
    """
    if secret.env is not None:
        value = os.environ.get(secret.env)
        if value is None:
            raise ConfigError([Fault(f"environment variable {secret.env}", 0, 0, "", "is not set")])
        return value
    if secret.credential is not None:
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if directory is None:
            raise ConfigError([Fault(f"credential {secret.credential}", 0, 0, "", NO_CREDENTIALS)])
        path = Path(directory) / secret.credential
        if not path.exists():  # a folder of them: LoadCredential=secrets:/etc/evce-gateway/secrets
            path = Path(directory) / (CREDENTIALS_OF_FOLDER + secret.credential)
    else:
        path = folder / (secret.file or "")
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError([Fault(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Fault(str(path), 0, 0, "", "is not UTF-8 text")]) from error


__all__ = [
    "NO_CREDENTIALS",
    "ConfigError",
    "LoadedConfig",
    "at_root",
    "load_config",
    "outline_of",
    "read_secret",
    "read_secret_at",
]
