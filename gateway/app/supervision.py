"""Checks of leases, heartbeats and what replaces a lost value, over config.yaml and its mappings (C02..C05)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.app.policy import command_overrides, command_policy
from gateway.config import LoadedConfig
from gateway.config.strict_yaml import Document, KeyPath
from gateway.config.supervision import Lease, LossValue, OnBmsLoss
from gateway.core.errors import CommandRejected, Fault, Reject
from gateway.core.lease import Loss
from gateway.core.point import CommandSpec, Factor, KindSpec, PointSpec
from gateway.core.value import Value
from gateway.engine.resource import Resource
from gateway.engine.setpoint import Limits, Setpoint
from gateway.mapping import LoadedMapping

SHORT_LEASE_S = 30.0


@dataclass(frozen=True, slots=True)
class Writer:
    """A client group that may write: where it stands in config.yaml, and its terms."""

    at: KeyPath
    lease: Lease | None
    loss: OnBmsLoss | None
    heartbeat: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A commandable point of a kind, of every resource or (`label`) of one that has an override."""

    source: str
    kind: KindSpec
    spec: PointSpec
    command: CommandSpec
    label: str | None
    limits: Limits

    def __str__(self) -> str:
        return f"{self.label or f'{self.source}/{self.kind.name}'}/{self.spec.name}"


def supervision_findings(
    loaded: LoadedConfig, mappings: Mapping[str, LoadedMapping]
) -> tuple[list[Fault], list[Fault]]:
    """Faults and warnings; `mappings` by source."""
    places, writers = list(_places(loaded, mappings)), list(_writers(loaded))
    faults = _loss_faults(loaded, mappings, places, writers)
    warnings = [*_short_leases(loaded, writers), *_local_slots(loaded)]
    control = loaded.config.control
    below = _on(control.lease_s) or any(_on(o.lease_s) for o in control.overrides.values())
    below = below or any(place.command.lease_s for place in places)
    for writer in writers:
        leased = below if writer.lease is None else _on(writer.lease)
        if writer.heartbeat and not leased:
            text = "a heartbeat keeps leases alive, and no lease is on; say lease_s beside it"
            faults.append(loaded.document.fault((*writer.at, "heartbeat"), text))
        if writer.loss not in (None, "hold") and not leased:
            warnings.append(_idle(loaded, (*writer.at, "on_bms_loss")))
    if control.on_bms_loss != "hold" and not below and not any(_on(writer.lease) for writer in writers):
        warnings.append(_idle(loaded, ("control", "on_bms_loss")))
    return faults, warnings


def _on(lease: Lease | None) -> bool:
    return lease not in (None, "off")


def _idle(loaded: LoadedConfig, at: KeyPath) -> Fault:
    return loaded.document.fault(at, "nothing makes it happen: no lease is on; say lease_s")


def _writers(loaded: LoadedConfig) -> Iterator[Writer]:
    modbus, bacnet = loaded.config.modbus, loaded.config.bacnet
    for i, group in enumerate(modbus.clients if modbus else ()):
        if group.write:
            yield Writer(("modbus", "clients", i), group.lease_s, group.on_bms_loss, group.heartbeat)
    if bacnet is not None and bacnet.write:
        yield Writer(("bacnet",), bacnet.lease_s, bacnet.on_bms_loss, bacnet.heartbeat)


def _places(loaded: LoadedConfig, mappings: Mapping[str, LoadedMapping]) -> Iterator[Place]:
    """Every commandable point, once for resources without an override and once for each that has one."""
    overrides = command_overrides(loaded.config)
    for source, mapping in mappings.items():
        for kind in mapping.product.kinds.values():
            prefix = f"{source}/{kind.name}"
            special = [(label, terms) for label, terms in overrides.items() if f"{label}/".startswith(f"{prefix}/")]
            for spec in kind.points.values():
                for label, limits in ((None, Limits()), *special) if spec.command is not None else ():
                    if spec.command is not None:
                        yield Place(source, kind, spec, spec.command, label, limits)


def _local_slots(loaded: LoadedConfig) -> Iterator[Fault]:
    """What is written by hand ends by itself, and would take a BMS's value of the same slot with it."""
    modbus, local = loaded.config.modbus, loaded.config.control.local_slot
    for i, group in enumerate(modbus.clients if modbus else ()):
        if group.write and group.slot == local:
            text = f"slot {local} is the command line's too (control.local_slot): what is written there replaces this"
            yield loaded.document.fault(("modbus", "clients", i, "slot"), f"{text} group's value, and then ends")


def _short_leases(loaded: LoadedConfig, writers: Iterable[Writer]) -> Iterator[Fault]:
    control = loaded.config.control
    leases: list[tuple[KeyPath, Lease | None]] = [(("control",), control.lease_s)]
    leases += [(("control", "overrides", label), override.lease_s) for label, override in control.overrides.items()]
    for at, lease in [*leases, *((writer.at, writer.lease) for writer in writers)]:
        if isinstance(lease, float) and lease < SHORT_LEASE_S:
            text = f"a lease of {lease:g} s is short: it should be 3 times the BMS's write period, or more"
            yield loaded.document.fault((*at, "lease_s"), text)


def _loss_faults(
    loaded: LoadedConfig, mappings: Mapping[str, LoadedMapping], places: list[Place], writers: list[Writer]
) -> list[Fault]:
    """`on_bms_loss: {value: X}` passes the checks of a write at every point it applies to (C02); one fault a key."""
    faults: dict[tuple[str, KeyPath], Fault] = {}
    for place in places:
        for document, at, value in _losses_at(loaded, mappings[place.source], place, writers):
            refused = _refused(loaded, place, value)
            if refused is not None:
                hint = "; say it in each mapping's command" if refused.reject is Reject.TYPE else ""
                text = f"{refused} ({place}){hint}"
                faults.setdefault((document.file, at), document.fault((*at, "on_bms_loss", "value"), text))
    return list(faults.values())


def _losses_at(
    loaded: LoadedConfig, mapping: LoadedMapping, place: Place, writers: list[Writer]
) -> Iterator[tuple[Document, KeyPath, Value]]:
    """The values that may come to replace a lost one at a place, each with where it is said."""
    for writer in writers:
        if isinstance(writer.loss, LossValue):
            yield loaded.document, writer.at, writer.loss.value
    said: Loss | None = place.limits.on_loss
    at: KeyPath = ("control", "overrides", place.label or "")
    document = loaded.document
    if said is None and place.command.on_loss is not None:
        said, document = place.command.on_loss, mapping.document
        at = ("resources", place.kind.name, "points", place.spec.name, "command")
    elif said is None:
        said, at = command_policy(loaded.config).on_loss, ("control",)
    if said.value is not None:
        yield document, at, said.value


def _refused(loaded: LoadedConfig, place: Place, value: Value) -> CommandRejected | None:
    """Why a write of the value would be refused, as far as that is known before the product was read."""
    policy, command, limits = command_policy(loaded.config), place.command, place.limits
    ends = zip(place.spec.range or (), (-math.inf, math.inf), strict=False)
    low_high = [Factor(end) if bound.point else bound for bound, end in ends]
    static = replace(place.spec, range=(low_high[0], low_high[1]) if low_high else None, scale=Factor(1.0))
    static = replace(static, offset=Factor(0.0))
    floors = (limits.floor, command.floor, policy.floor if place.spec.unit == "A" else None)
    stops = (limits.allow_stop, command.allow_stop, policy.allow_stop)
    point = Setpoint(
        index=0,
        spec=static,
        command=command,
        resource=Resource(place.source, place.kind, place.label, None, None, trouble=""),
        resolve=lambda _resource, factor: factor.number if factor is not None else None,
        floor=next((floor for floor in floors if floor is not None), None),
        allow_stop=next(stop for stop in stops if stop is not None),
    )
    try:
        point.allowed(value)
    except CommandRejected as refused:
        return refused
    return None
