"""config.yaml and its mappings together: every fault of every file at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gateway.addressing import expand, gateway_kind, overlaps, region_faults, source_kind
from gateway.addressing.book import Entry
from gateway.config import Config, LoadedConfig, load_config
from gateway.core.errors import ConfigError, Fault
from gateway.core.point import SOURCE_KIND, KindSpec, Product
from gateway.core.registers import Order
from gateway.mapping import LoadedMapping, load_mapping


@dataclass(frozen=True, slots=True)
class Site:
    """A whole site, checked: the configuration and one compiled mapping per source."""

    config: Config
    loaded: LoadedConfig
    products: dict[str, Product]
    warnings: list[Fault]

    @property
    def state_dir(self) -> Path:
        """Where the gateway keeps what outlives it."""
        return self.loaded.path(self.config.state_dir)

    @property
    def control_path(self) -> Path:
        """The control socket: in $RUNTIME_DIRECTORY when systemd gives one, else in the state directory."""
        runtime = os.environ.get("RUNTIME_DIRECTORY")
        return (Path(runtime) if runtime else self.state_dir) / "control.sock"

    @property
    def orders(self) -> tuple[Order, Order]:
        """Word and byte order of the Modbus server."""
        modbus = self.config.modbus
        return (modbus.word_order, modbus.byte_order) if modbus else ("big", "big")

    @property
    def pools(self) -> dict[str, str]:
        """Which block pool each source uses."""
        return {name: product.pool for name, product in self.products.items()}

    def kinds(self, source: str) -> list[KindSpec]:
        """The kinds of a source, the built-in `source` first, a kind inside another after its parent."""
        kinds = [source_kind(*self.orders), *self.products[source].kinds.values()]
        depth = {kind.name: 0 for kind in kinds}
        for _ in kinds:
            for kind in kinds:
                if kind.within is not None:
                    depth[kind.name] = depth[kind.within.parent] + 1
        return sorted(kinds, key=lambda kind: depth[kind.name])

    def header(self, entries: list[Entry]) -> KindSpec:
        """The header's points; sources stand at the positions of their blocks."""
        positions = [(entry.block, entry.source) for entry in entries if entry.kind == SOURCE_KIND]
        return gateway_kind(*self.orders, positions)


def load_site(file: Path) -> Site:
    """Loads and checks everything a site's configuration names.

    Raises:
        ConfigError: with all faults of all files, in file order.
    """
    loaded, faults = load_config(file)
    if loaded is None:
        raise ConfigError(faults)
    config = loaded.config
    orders: tuple[Order, Order] = (
        (config.modbus.word_order, config.modbus.byte_order) if config.modbus else ("big", "big")
    )
    mappings: dict[Path, LoadedMapping | None] = {}
    products: dict[str, Product] = {}
    warnings: list[Fault] = []
    for i, source in enumerate(config.sources):
        path = loaded.path(source.mapping).resolve()
        if path not in mappings:
            mapping, found = load_mapping(path, *orders)
            mappings[path] = mapping
            if not path.exists():
                found = [loaded.document.fault(("sources", i, "mapping"), f"there is no file {path}")]
            faults += found
            if mapping is not None:
                faults += _layout_faults(mapping, orders)
                warnings += mapping.warnings
        mapping = mappings[path]
        if mapping is not None:
            if mapping.product.name != source.kind:
                text = f"this mapping is for {mapping.product.name}, and the source is of kind {source.kind}"
                faults.append(loaded.document.fault(("sources", i, "mapping"), text))
            products[source.name] = mapping.product
            faults += _expect_faults(loaded, i, mapping.product)
    kept = [mapping for mapping in mappings.values() if mapping is not None]
    faults += _region_faults(kept)
    faults += _tls_faults(loaded)
    if faults:
        raise ConfigError(faults)
    return Site(config, loaded, products, warnings)


def _expect_faults(loaded: LoadedConfig, i: int, product: Product) -> list[Fault]:
    faults: list[Fault] = []
    for kind, names in loaded.config.sources[i].expect.items():
        spec = product.kinds.get(kind)
        at = ("sources", i, "expect", kind)
        if spec is None or spec.list is None:
            listed = ", ".join(name for name, k in product.kinds.items() if k.list is not None) or "none"
            faults.append(loaded.document.fault(at, f"the mapping lists no {kind}; it lists: {listed}"))
        elif len(set(names)) != len(names):
            faults.append(loaded.document.fault(at, "a name stands twice"))
    return faults


def _layout_faults(mapping: LoadedMapping, orders: tuple[Order, Order]) -> list[Fault]:
    """Overlaps inside the blocks of one mapping."""
    faults: list[Fault] = []
    for kind in mapping.product.kinds.values():
        for point, text in overlaps(expand(kind, *orders), kind.modbus, kind.bacnet):
            at = ("resources", kind.name, "points", point.partition(".")[0])
            at = at if at in mapping.document.marks else ("resources", kind.name, "modbus", "status")
            faults.append(mapping.document.fault(at, text))
    return faults


def _region_faults(mappings: list[LoadedMapping]) -> list[Fault]:
    """Overlaps between the regions of all kinds of all mappings in use."""
    labels: dict[str, tuple[LoadedMapping, str]] = {}
    kinds: list[tuple[str, str, KindSpec]] = []
    for mapping in mappings:
        for kind in mapping.product.kinds.values():
            label = f"{mapping.file.name} {kind.name}"
            labels[label] = (mapping, kind.name)
            kinds.append((label, mapping.product.pool, kind))
    faults: list[Fault] = []
    for label, text in region_faults(kinds):
        mapping, name = labels[label]
        protocol = "bacnet" if "instances" in text else "modbus"
        faults.append(mapping.document.fault(("resources", name, protocol, "first"), text))
    return faults


def _tls_faults(loaded: LoadedConfig) -> list[Fault]:
    faults: list[Fault] = []
    for i, source in enumerate(loaded.config.sources):
        if source.tls is not None and source.tls.ca_file is not None:
            path = loaded.path(source.tls.ca_file)
            if not path.exists():
                faults.append(loaded.document.fault(("sources", i, "tls", "ca_file"), f"there is no file {path}"))
    return faults
