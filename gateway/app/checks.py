"""Checks that need more than one file: the configuration against its mappings, and the mappings against each other."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.addressing import LAST_UNIT, expand, overlaps, region_faults
from gateway.addressing.builtin import SOURCE_REGION
from gateway.config import LoadedConfig
from gateway.config.fields import Secret
from gateway.config.strict_yaml import KeyPath, shown_path
from gateway.config.web import WebTls
from gateway.core.errors import Fault
from gateway.core.point import KindSpec, Product
from gateway.core.registers import Order
from gateway.mapping import LoadedMapping

FEW = 20
"""So many names are told."""


def layout_faults(mapping: LoadedMapping, orders: tuple[Order, Order]) -> list[Fault]:
    """Overlaps inside the blocks of one mapping."""
    faults: list[Fault] = []
    for kind in mapping.product.kinds.values():
        for point, protocol, text in overlaps(expand(kind, *orders), kind.modbus, kind.bacnet, kind.actions_at):
            name = point.partition(".")[0]
            at: KeyPath = ("resources", kind.name, "actions" if name in kind.actions else "points", name, protocol)
            if at[:-1] not in mapping.document.marks:
                at = ("resources", kind.name, "modbus", "status")
            faults.append(mapping.document.fault(at, f"{point} {text}"))
    return faults


def placing_faults(mappings: Sequence[LoadedMapping], *, heartbeat: bool) -> list[Fault]:
    """Overlaps between the regions of all kinds of all mappings in use; `heartbeat` as in region_faults."""
    labels: dict[str, tuple[LoadedMapping, str]] = {}
    kinds: list[tuple[str, str, KindSpec]] = []
    several = Counter(mapping.file.name for mapping in mappings)
    for mapping in mappings:
        file = mapping.file.name if several[mapping.file.name] == 1 else str(mapping.file)
        for kind in mapping.product.kinds.values():
            label = f"{kind.name} of {file}"
            labels[label] = (mapping, kind.name)
            kinds.append((label, mapping.product.pool, kind))
    faults: list[Fault] = []
    for label, protocol, text in region_faults(kinds, heartbeat=heartbeat):
        mapping, name = labels[label]
        faults.append(mapping.document.fault(("resources", name, *protocol.split("."), "first"), text))
    return faults


def source_faults(loaded: LoadedConfig, i: int, product: Product) -> list[Fault]:
    """One source against its mapping: the product's kind, and the kinds its `expect` and `exclude` name."""
    source, document = loaded.config.sources[i], loaded.document
    faults: list[Fault] = []
    if product.name != source.kind:
        text = f"this mapping is for {product.name}, and the source is of kind {source.kind}"
        faults.append(document.fault(("sources", i, "mapping"), text))
    listed = ", ".join(name for name, k in product.kinds.items() if k.list is not None) or "none"
    for kind, names in source.expect.items():
        spec = product.kinds.get(kind)
        if spec is None or spec.list is None:
            text = f"the mapping lists no {kind}; it lists: {listed}"
            faults.append(document.fault(("sources", i, "expect", kind), text, at_key=True))
        for at, name in enumerate(names):
            if name in names[:at]:
                faults.append(document.fault(("sources", i, "expect", kind, at), f"the name {name!r} stands twice"))
    for at, pattern in enumerate(source.exclude):
        kind = pattern.partition("/")[0]
        if kind not in product.kinds and not set("*?[") & set(kind):
            text = f"the mapping lists no {kind}; it lists: {listed}"
            faults.append(document.fault(("sources", i, "exclude", at), text))
    return faults


def pool_faults(loaded: LoadedConfig, products: Mapping[str, Product]) -> list[Fault]:
    """Regions too small for what is expected of the sources that share them."""
    faults: list[Fault] = []
    used: Counter[tuple[str, str]] = Counter()
    for i, source in enumerate(loaded.config.sources):
        product = products.get(source.name)
        for kind, names in source.expect.items() if product is not None else ():
            spec = product.kinds.get(kind) if product is not None else None
            if product is None or spec is None or spec.capacity is None:
                continue
            used[product.pool, kind] += len(names)
            if used[product.pool, kind] > spec.capacity:
                text = f"{used[product.pool, kind]} are expected, and `capacity` of {kind} is {spec.capacity}"
                faults.append(loaded.document.fault(("sources", i, "expect", kind), text))
    if len(loaded.config.sources) > SOURCE_REGION.capacity:
        text = f"at most {SOURCE_REGION.capacity} sources have an address (found {len(loaded.config.sources)})"
        faults.append(loaded.document.fault(("sources",), text))
    return faults


def unit_faults(loaded: LoadedConfig, products: Mapping[str, Product]) -> list[Fault]:
    """More sources or expected resources than there are Modbus units for them."""
    modbus, sources = loaded.config.modbus, loaded.config.sources
    text = ""
    if modbus is not None and modbus.units == "per_source" and modbus.unit + len(sources) - 1 > LAST_UNIT:
        last = modbus.unit + len(sources) - 1
        text = f"{len(sources)} sources from unit {modbus.unit} on need units up to {last}, and {LAST_UNIT} is the last"
    if modbus is not None and modbus.units == "per_resource":
        kinds = [(s, kind) for s in sources if s.name in products for kind in products[s.name].kinds.values()]
        served = [(source, kind) for source, kind in kinds if kind.modbus is not None or kind.actions_at is not None]
        count = sum(1 if kind.is_single else len(source.expect.get(kind.name, ())) for source, kind in served)
        if count > LAST_UNIT - 1:
            text = f"{count} resources need a unit each, and beside the gateway's own there are {LAST_UNIT - 1}"
    return [loaded.document.fault(("modbus", "units"), text)] if text else []


def override_faults(loaded: LoadedConfig, products: Mapping[str, Product]) -> list[Fault]:
    """`control.overrides` that can never apply: a floor nobody has is a floor that is not there."""
    faults: list[Fault] = []
    for label in loaded.config.control.overrides:
        at = ("control", "overrides", label)
        source, _, rest = label.partition("/")
        kind = rest.partition("/")[0]
        names = [item.name for item in loaded.config.sources]
        if source not in names:
            text = f"there is no source {source!r}; say SOURCE/KIND/NAME with one of: {', '.join(names)}"
            faults.append(loaded.document.fault(at, text, at_key=True))
        elif source in products:
            kinds = products[source].kinds
            writable = [name for name, k in kinds.items() if any(p.command for p in k.points.values())]
            single = kind in kinds and kinds[kind].is_single
            if kind not in writable:
                text = f"{kind!r} has no command; kinds that have: {', '.join(writable) or 'none'}"
                faults.append(loaded.document.fault(at, text, at_key=True))
            elif single != (not rest.partition("/")[2]):
                text = f"say {source}/{kind}" + ("" if single else "/NAME")
                faults.append(loaded.document.fault(at, text, at_key=True))
    return faults


def unknown_overrides(loaded: LoadedConfig, known: Sequence[str]) -> list[Fault]:
    """`control.overrides` of a name that nobody has, where others of its kind are known: a typo loses a floor."""
    warnings: list[Fault] = []
    for label in loaded.config.control.overrides:
        alike = sorted({other for other in known if other.rpartition("/")[0] == label.rpartition("/")[0]})
        if label.count("/") == 2 and alike and label not in alike:
            names = ", ".join(alike[:FEW]) + (", ..." if len(alike) > FEW else "")
            text = f"nothing of this name is known, so this holds for nothing; known: {names}"
            warnings.append(loaded.document.fault(("control", "overrides", label), text, at_key=True))
    return warnings


def file_findings(loaded: LoadedConfig) -> tuple[list[Fault], list[Fault]]:
    """Files that are not there: certificates are faults, secrets (which may stand on another machine) warnings."""
    faults: list[Fault] = []
    warnings: list[Fault] = []
    wanted: list[tuple[list[Fault], KeyPath, str | None]] = []
    for i, source in enumerate(loaded.config.sources):
        wanted.append((faults, ("sources", i, "tls", "ca_file"), source.tls.ca_file if source.tls else None))
        wanted.append((warnings, ("sources", i, "password", "file"), source.password.file))
    tls = loaded.config.modbus.tls if loaded.config.modbus is not None else None
    if tls is not None:
        wanted.append((faults, ("modbus", "tls", "certificate"), tls.certificate))
        wanted.append((faults, ("modbus", "tls", "client_ca"), tls.client_ca))
        wanted.append((warnings, ("modbus", "tls", "key", "file"), tls.key.file))
    web = loaded.config.web
    if web is not None and isinstance(web.tls, WebTls):
        wanted.append((faults, ("web", "tls", "certificate"), web.tls.certificate))
        wanted.append((warnings, ("web", "tls", "key", "file"), web.tls.key.file))
    bacnet = loaded.config.bacnet
    if bacnet is not None and bacnet.dcc_password is not None:
        wanted.append((warnings, ("bacnet", "dcc_password", "file"), bacnet.dcc_password.file))
    for found, at, name in wanted:
        if name is not None and not loaded.path(name).exists():
            found.append(loaded.document.fault(at, f"there is no file {shown_path(loaded.path(name))}"))
    return faults, warnings + _unset_variables(loaded)


def _unset_variables(loaded: LoadedConfig) -> list[Fault]:
    """Passwords from the environment that this process has not; the service may have another."""
    sources, bacnet = loaded.config.sources, loaded.config.bacnet
    secrets: list[tuple[KeyPath, Secret | None]] = [
        (("sources", i, "password", "env"), source.password) for i, source in enumerate(sources)
    ]
    secrets.append((("bacnet", "dcc_password", "env"), bacnet.dcc_password if bacnet is not None else None))
    return [
        loaded.document.fault(at, f"{secret.env} is not set here")
        for at, secret in secrets
        if secret is not None and secret.env is not None and secret.env not in os.environ
    ]


def role_faults(loaded: LoadedConfig) -> list[Fault]:
    """Roles of `modbus.tls` that name no client group."""
    modbus = loaded.config.modbus
    if modbus is None or modbus.tls is None:
        return []
    names = [group.name for group in modbus.clients]
    return [
        loaded.document.fault(
            ("modbus", "tls", "roles", role),
            f"there is no client group {name!r}; there are: {', '.join(names) or 'none'}",
        )
        for role, name in modbus.tls.roles.items()
        if name not in names
    ]
