"""What config.yaml says about commands, as the engine's own terms."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config import Config
from gateway.config.downstream import BacnetConfig, ModbusClients
from gateway.config.models import Override
from gateway.config.supervision import Lease, LossValue, OnBmsLoss
from gateway.core.lease import GroupTerms, Loss
from gateway.engine.setpoint import Limits, Policy
from gateway.engine.supervision import PEOPLE


def command_policy(config: Config) -> Policy:
    """`control`: what holds where neither a client group, an override nor a mapping says otherwise."""
    control = config.control
    return Policy(
        floor=control.floor,
        allow_stop=control.allow_stop,
        dry_run=control.dry_run,
        lease_s=seconds(control.lease_s) or 0.0,
        on_loss=loss(control.on_bms_loss) or Loss(),
        max_downtime_s=control.max_downtime,
        read_only=control.read_only,
    )


def command_overrides(config: Config) -> dict[str, Limits]:
    """`control.overrides` by SOURCE/KIND/NAME."""
    return {label: limits(override) for label, override in config.control.overrides.items()}


def limits(override: Override) -> Limits:
    """One resource's override."""
    return Limits(override.floor, override.allow_stop, seconds(override.lease_s), loss(override.on_bms_loss))


def client_terms(config: Config) -> Mapping[str, GroupTerms]:
    """The terms of every client group by `Origin.group`; who writes on this machine has no lease, but an end."""
    found = {group: GroupTerms(lease_s=0.0) for group in PEOPLE}
    if config.modbus is not None:
        found |= {
            f"modbus/{group.name}": _terms(group, write=group.write, slot=group.slot) for group in config.modbus.clients
        }
    if config.bacnet is not None:
        found["bacnet"] = _terms(config.bacnet, write=bool(config.bacnet.write))
    return found


def _terms(keys: ModbusClients | BacnetConfig, *, write: bool, slot: int | None = None) -> GroupTerms:
    return GroupTerms(seconds(keys.lease_s), loss(keys.on_bms_loss), keys.heartbeat, write, slot)


def lease_text(config: Config) -> str:
    """Which leases there are, in one line; mappings may say more for their own commands."""
    said = [(group, terms) for group, terms in client_terms(config).items() if group not in PEOPLE and terms.write]
    own = [f"{group} {_lease_words(terms)}" for group, terms in said if terms.lease_s is not None or terms.heartbeat]
    own += [
        f"{label} {_duration(terms.lease_s)}" for label, terms in command_overrides(config).items() if terms.lease_s
    ]
    general = command_policy(config).lease_s
    if not general and not own:
        return "off: a command holds until it is changed or released"
    return "; ".join([_duration(general), *own])


def _lease_words(terms: GroupTerms) -> str:
    words = [] if terms.lease_s is None else [_duration(terms.lease_s)]
    return " ".join([*words, "by its heartbeat"] if terms.heartbeat else words)


def _duration(lease_s: float | None) -> str:
    return f"{lease_s:g} s" if lease_s else "off"


def seconds(lease: Lease | None) -> float | None:
    """A lease in seconds, 0.0 for off, None where nothing is said."""
    return 0.0 if lease == "off" else lease


def loss(on_bms_loss: OnBmsLoss | None) -> Loss | None:
    """What replaces a lost value, None where nothing is said."""
    match on_bms_loss:
        case LossValue(value=value):
            return Loss("value", value)
        case None:
            return None
        case _:
            return Loss(on_bms_loss)
