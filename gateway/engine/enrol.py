"""A commandable point as its mapping, its resource's override and the site's policy make it; the nearest one counts."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.delivery import PUT_GAP_S, Delivery
from gateway.core.patience import Uniform
from gateway.core.point import CommandSpec, Factor, PointSpec
from gateway.engine.resource import Resource
from gateway.engine.setpoint import Limits, Policy, Setpoint


def enrol(
    spec: PointSpec,
    command: CommandSpec,
    resource: Resource,
    *,
    override: Limits,
    policy: Policy,
    resolve: Callable[[Resource, Factor | None], float | None],
    uniform: Uniform,
) -> Setpoint:
    """A setpoint without slots; the policy's floor is for commands in A only."""
    floors = (override.floor, command.floor, policy.floor if spec.unit == "A" else None)
    stops = (override.allow_stop, command.allow_stop, policy.allow_stop)
    leases = (override.lease_s, command.lease_s, policy.lease_s)
    block = resource.name if resource.block is None else resource.block
    return Setpoint(
        index=resource.indices[spec.name],
        spec=spec,
        command=command,
        resource=resource,
        resolve=resolve,
        floor=next((floor for floor in floors if floor is not None), None),
        allow_stop=next(stop for stop in stops if stop is not None),
        key=f"{resource.source}/{resource.kind.name}/{block}/{spec.name}",
        lease_s=next(lease for lease in leases if lease is not None),
        on_loss=override.on_loss or command.on_loss or policy.on_loss,
        read_only=policy.read_only,
        delivery=Delivery(
            on_conflict=command.on_conflict,
            gap_s=PUT_GAP_S if command.gap_s is None else command.gap_s,
            valid_for_s=command.valid_for_s,
            uniform=uniform,
        ),
    )
