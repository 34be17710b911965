"""What differs between the configuration that runs and a new one: what it means for each source, and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.app.load import Site
from gateway.config import Config, SourceConfig
from gateway.engine.likeness import definition, same_product
from gateway.engine.relayout import Layout

MOST_TOLD = 20
LOGIN_KEYS = ("kind", "url", "username", "tls", "parallel")
"""What a session is made of; with another one there is another session."""


@dataclass(frozen=True, slots=True)
class Changes:
    """`site` is the new one, with the running products where nothing of them changed.

    Names of sources: `added` and `removed`; `logins` are those with a new session; `layouts` are all that are laid out
    anew, the added ones among them. `words` says everything that differs, in short sentences.
    """

    site: Site
    added: tuple[str, ...]
    removed: tuple[str, ...]
    logins: tuple[str, ...]
    layouts: Mapping[str, Layout]
    words: tuple[str, ...]

    @property
    def polls(self) -> list[str]:
        """Sources that are there before and after, and are polled in another way."""
        names = {*self.logins, *self.layouts} - {*self.added}
        return [source.name for source in self.site.config.sources if source.name in names]


def changes_between(old: Site, new: Site) -> Changes:
    """Everything that a reload has to bring about."""
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
        and (_login(source) != _login(before[name]) or old.products[name].base != new.products[name].base)
    ]
    added = tuple(name for name in after if name not in before)
    removed = tuple(name for name in before if name not in after)
    return Changes(site, added, removed, tuple(logins), layouts, tuple(_words(old, new, same)))


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
