"""What differs between the configuration that runs and a new one: what it means for each source, and in words."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.app.load import Site
from gateway.config import Config, SourceConfig
from gateway.config.web import WebTls
from gateway.engine.likeness import definition, same_product
from gateway.engine.relayout import Layout

MOST_TOLD = 20
MODBUS_FILES, WEB_FILES = "modbus.tls", "web.tls"
LOGIN_KEYS = ("kind", "url", "username", "tls", "parallel")
"""What a session is made of; with another one there is another session."""


@dataclass(frozen=True, slots=True)
class Changes:
    """`site` is the new one, with the running products where nothing of them changed.

    Names of sources: `added` and `removed`; `logins` are those with a new session; `layouts` are all that are laid out
    anew, the added ones among them. `words` says everything that differs, in short sentences; `renewed` is as in Seen.
    """

    site: Site
    added: tuple[str, ...]
    removed: tuple[str, ...]
    logins: tuple[str, ...]
    layouts: Mapping[str, Layout]
    words: tuple[str, ...]
    renewed: frozenset[str] = frozenset()

    @property
    def polls(self) -> list[str]:
        """Sources that are there before and after, and are polled in another way."""
        names = {*self.logins, *self.layouts} - {*self.added}
        return [source.name for source in self.site.config.sources if source.name in names]


class Seen:
    """Certificate files as they were when they were taken over: what stands in them belongs to the configuration."""

    def __init__(self, site: Site) -> None:
        self._digests = _digests(site)

    def renewed(self, site: Site) -> set[str]:
        """Whose files say something else now, though their names are the same."""
        now = _digests(site)
        return {whose for whose, digest in now.items() if self._digests.get(whose, digest) != digest}


def _digests(site: Site) -> dict[str, str]:
    """One for each source with a certificate file, and for the servers that have certificates."""
    config, path = site.config, site.loaded.path
    files = {
        f"sources.{source.name}": [path(source.tls.ca_file)]
        for source in config.sources
        if source.tls is not None and source.tls.ca_file is not None
    }
    if config.modbus is not None and config.modbus.tls is not None:
        tls = config.modbus.tls
        files[MODBUS_FILES] = [path(name) for name in (tls.certificate, tls.client_ca, tls.key.file) if name]
    if config.web is not None and isinstance(config.web.tls, WebTls):
        own = config.web.tls
        files[WEB_FILES] = [path(name) for name in (own.certificate, own.key.file) if name]
    return {whose: "".join(map(_digest, names)) for whose, names in files.items()}


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def changes_between(old: Site, new: Site, renewed: Collection[str] = ()) -> Changes:
    """Everything that a reload has to bring about; `renewed` as Seen says."""
    before = {source.name: source for source in old.config.sources}
    after = {source.name: source for source in new.config.sources}
    same = {n for n in after if n in before and same_product(old.products[n], new.products[n])}
    site = replace(new, products={n: old.products[n] if n in same else p for n, p in new.products.items()})
    moved = (old.orders, _divided(old.config)) != (new.orders, _divided(new.config))
    layouts = {
        name: Layout(site.kinds(name), source.expect, source.exclude)
        for name, source in after.items()
        if moved or name not in same or _named(source) != _named(before[name])
    }
    logins = [
        name
        for name, source in after.items()
        if name in before
        and (
            f"sources.{name}" in renewed
            or _login(source) != _login(before[name])
            or old.products[name].base != new.products[name].base
        )
    ]
    added = tuple(name for name in after if name not in before)
    removed = tuple(name for name in before if name not in after)
    words = [*_words(old, new, same), *(f"{whose}: another certificate in its file" for whose in sorted(renewed))]
    return Changes(site, added, removed, tuple(logins), layouts, tuple(words), frozenset(renewed))


def _divided(config: Config) -> Any:
    """Into which units and devices."""
    modbus, bacnet = config.modbus, config.bacnet
    units = None if modbus is None else (modbus.units, modbus.unit)
    return units, None if bacnet is None else (bacnet.devices, bacnet.first_instance)


def _named(source: SourceConfig) -> Any:
    return source.expect, source.exclude


def _login(source: SourceConfig) -> Any:
    return [getattr(source, key) for key in LOGIN_KEYS]


# -- in words --------------------------------------------------------------------------------------------------------


def _words(old: Site, new: Site, same: set[str]) -> Iterator[str]:
    before = {source.name: source.model_dump() for source in old.config.sources}
    after = {source.name: source.model_dump() for source in new.config.sources}
    yield from (f"sources: {name} is new" for name in after if name not in before)
    yield from (f"sources: {name} is gone" for name in before if name not in after)
    for name in after.keys() & before.keys():
        yield from _differing(f"sources.{name}", before[name], after[name])
        if name not in same:
            yield _mapping_words(old, new, name)
    one, other = old.config.model_dump(exclude={"sources"}), new.config.model_dump(exclude={"sources"})
    yield from _differing("", one, other)


def _differing(at: str, old: Any, new: Any) -> Iterator[str]:
    """The keys that differ, as deep as both are mappings."""
    if old == new:
        return
    if not (isinstance(old, dict) and isinstance(new, dict)):
        lists = isinstance(old, list) and isinstance(new, list)
        yield f"{at} has changed" if lists else f"{at}: {_shown(new)} (was {_shown(old)})"
        return
    for key in dict.fromkeys((*old, *new)):
        yield from _differing(f"{at}.{key}".lstrip("."), old.get(key), new.get(key))


def _shown(value: Any) -> str:
    if value in (None, [], {}):
        return "nothing"
    return str(value) if isinstance(value, (str, int, float)) else "a list" if isinstance(value, list) else "set"


def _mapping_words(old: Site, new: Site, source: str) -> str:
    """How many points of a source's kinds differ."""
    one, other = (
        {(k.name, p.name): definition(p) for k in site.products[source].kinds.values() for p in k.points.values()}
        for site in (old, new)
    )
    counts = {
        "new": len(other.keys() - one.keys()),
        "gone": len(one.keys() - other.keys()),
        "changed": sum(one[key] != other[key] for key in one.keys() & other.keys()),
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"the mapping of {source} is another: points {told}" if told else f"the mapping of {source} is another"
