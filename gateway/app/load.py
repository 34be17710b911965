"""config.yaml and its mappings together: every fault of every file at once."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from gateway.addressing import AddressBook, DevicePlan, Entry, UnitPlan, gateway_kind, source_kind
from gateway.app.alarming import class_faults
from gateway.app.checks import (
    file_findings,
    layout_faults,
    override_faults,
    placing_faults,
    pool_faults,
    role_faults,
    source_faults,
    unit_faults,
    unknown_overrides,
)
from gateway.app.supervision import supervision_findings
from gateway.config import Config, LoadedConfig, load_config
from gateway.config.strict_yaml import read_yaml, shown_path
from gateway.core.errors import ConfigError, Fault
from gateway.core.point import SOURCE_KIND, KindSpec, Product, point_name
from gateway.core.registers import Order
from gateway.mapping import LoadedMapping, load_mapping
from gateway.store import Store

CONTROL = "control.sock"
RUN = Path("/run")


def control_path(state_dir: Path) -> Path:
    """Where a gateway with this state directory listens to its command line."""
    runtime = os.environ.get("RUNTIME_DIRECTORY")
    return (Path(runtime) if runtime else state_dir) / CONTROL


def daemon_path(state_dir: Path) -> Path:
    """Where the command line finds the control socket of a running daemon.

    Its caller has no $RUNTIME_DIRECTORY: our units' socket is in the folder of RUN that is called like the state
    directory, into which only root may look.
    """
    own, of_service = control_path(state_dir), RUN / state_dir.name / CONTROL
    return of_service if not os.path.exists(own) and of_service.exists() else own  # noqa: PTH110  # no right: False


def state_dir_of(file: Path) -> Path | None:
    """The state directory in a configuration that is broken elsewhere; None when it cannot be read at all."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"^state_dir:[ \t]+([^#\n]*)", text, re.MULTILINE)
    name = Config.model_fields["state_dir"].default if found is None else found[1].strip().strip("\"'")
    return file.resolve().parent / name


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
        return control_path(self.state_dir)

    @property
    def daemon_path(self) -> Path:
        """Where the command line finds the control socket of a running daemon."""
        return daemon_path(self.state_dir)

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

    def unit_plan(self, book: AddressBook) -> UnitPlan:
        """The Modbus units, as the configuration divides the site."""
        modbus = self.config.modbus
        kinds = {name: self.kinds(name) for name in self.products}
        return UnitPlan(book, kinds, modbus.units, modbus.unit) if modbus else UnitPlan(book, kinds)

    def device_plan(self, book: AddressBook) -> DevicePlan:
        """The virtual BACnet devices, as the configuration divides the site."""
        bacnet = self.config.bacnet
        return DevicePlan(book, bacnet.first_instance if bacnet is not None else None)

    def header(self, entries: list[Entry]) -> KindSpec:
        """The header's points; sources stand at the positions of their blocks."""
        positions = [(entry.block, entry.source) for entry in entries if entry.kind == SOURCE_KIND]
        bacnet = self.config.bacnet
        return gateway_kind(*self.orders, positions, heartbeat=bacnet is not None and bacnet.heartbeat)


def load_site(file: Path, root: Path | None = None) -> Site:
    """Loads and checks everything a site's configuration names; `root` as in LoadedConfig.

    Raises:
        ConfigError: with all faults of all files, in file order.
    """
    loaded, faults = load_config(file, root)
    if loaded is None:
        raise ConfigError(faults + _mapping_faults(file))
    config = loaded.config
    orders: tuple[Order, Order] = (
        (config.modbus.word_order, config.modbus.byte_order) if config.modbus else ("big", "big")
    )
    mappings: dict[Path, LoadedMapping | None] = {}
    products: dict[str, Product] = {}
    by_source: dict[str, LoadedMapping] = {}
    warnings: list[Fault] = []
    for i, source in enumerate(config.sources):
        path = loaded.path(source.mapping).resolve()
        if not path.is_file():
            faults.append(loaded.document.fault(("sources", i, "mapping"), f"there is no file {shown_path(path)}"))
            continue
        if path not in mappings:
            mapping, found = load_mapping(path, *orders)
            mappings[path] = mapping
            faults += found
            if mapping is not None:
                faults += layout_faults(mapping, orders)
                warnings += mapping.warnings
        mapping = mappings[path]
        if mapping is not None:
            products[source.name], by_source[source.name] = mapping.product, mapping
            faults += source_faults(loaded, i, mapping.product)
    placed = [mapping for mapping in mappings.values() if mapping is not None]
    faults += placing_faults(placed, heartbeat=config.bacnet is not None and config.bacnet.heartbeat)
    faults += pool_faults(loaded, products)
    faults += unit_faults(loaded, products)
    faults += override_faults(loaded, products)
    faults += class_faults(loaded, by_source)
    supervised, doubts = supervision_findings(loaded, by_source)
    faults, warnings = faults + supervised, warnings + doubts
    faults += role_faults(loaded)
    missing_files, missing_passwords = file_findings(loaded)
    faults += missing_files
    if faults:
        raise ConfigError(faults)
    site = Site(config, loaded, products, warnings + missing_passwords)
    site.warnings.extend(unknown_overrides(loaded, _known_labels(site)))
    return site


def _known_labels(site: Site) -> list[str]:
    """SOURCE/KIND/NAME of all that is expected or was seen; what cannot be read now, others tell of."""
    expected = [
        point_name(source.name, kind, name, "").removesuffix("/")
        for source in site.config.sources
        for kind, names in source.expect.items()
        for name in names
    ]
    if not site.config.control.overrides:
        return []
    with contextlib.suppress(ConfigError, OSError):
        seen = Store(site.state_dir).load_addresses().entries
        return [*expected, *(entry.label for entry in seen if not (entry.retired or entry.forgotten))]
    return expected


def _mapping_faults(file: Path) -> list[Fault]:
    """Faults of the mappings a broken config.yaml names all the same, so that one run shows everything."""
    data = read_yaml(file).data
    sources = data.get("sources") if isinstance(data, dict) else None
    names = [source.get("mapping") for source in sources or () if isinstance(source, dict)]
    paths = {(file.resolve().parent / name).resolve() for name in names if isinstance(name, str)}
    faults: list[Fault] = []
    for path in sorted(paths):
        if path.is_file():
            mapping, found = load_mapping(path)
            faults += found
            faults += layout_faults(mapping, ("big", "big")) if mapping is not None else []
    return faults
