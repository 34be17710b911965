"""Points whose commands leave in one request (`together`), and the single point as the smallest such group.

Rules of this file: a group has one delivery; its target holds one raw value per member, in the mapping's order; a
member of which nothing is asked stands at its default; the group is released when nothing is asked of any member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.core.delivery import Target
from gateway.core.value import Value, shorten
from gateway.engine.intake import ReadBack
from gateway.engine.setpoint import Setpoint

RELEASE = Target(None, release=True)


def join(points: Mapping[str, Setpoint]) -> None:
    """Makes the points of one resource, by name, share a delivery where their commands say `together`."""
    for name, point in points.items():
        names = {name, *point.command.together}
        point.peers = tuple(member for other, member in points.items() if other in names)
        point.delivery = point.peers[0].delivery


def wanted(point: Setpoint) -> Target | None:
    """What the group of a point shall hold upstream; None while nothing is asked, or a raw value is not known."""
    peers = point.peers
    if all(member.aimed is None for member in peers):
        return RELEASE if any(member.release_due for member in peers) else None
    raws = [_raw(member) for member in peers]
    known = tuple(raw for raw in raws if raw is not None)
    if len(known) < len(peers):
        return None
    return Target(known[0] if len(peers) == 1 else known)


def _raw(member: Setpoint) -> Value | None:
    """The raw value that stands for a member in its group's request."""
    value = member.default if member.aimed is None else member.aimed
    return None if value is None else member.raw(value)


def part(target: Target, point: Setpoint) -> Target:
    """What a group's target means for one member."""
    if target.release or not isinstance(target.raw, tuple):
        return target
    return Target(target.raw[point.peers.index(point)])


def raw_of(target: Target, point: Setpoint) -> Value | None:
    """One member's raw value in a target, None in a release."""
    raw = part(target, point).raw
    return None if isinstance(raw, tuple) else raw


def tighter(old: Target | None, new: Target, point: Setpoint) -> bool:
    """Whether a new target limits any member more than the old one, and so must not wait."""
    return any(
        member.is_tighter(None if old is None else part(old, member), raw)
        for member in point.peers
        if (raw := raw_of(new, member)) is not None
    )


def reads(point: Setpoint) -> Sequence[tuple[Setpoint, ReadBack]]:
    """The newest read-back of every member, empty while one of them was not read in this session."""
    found = [(member, member.read) for member in point.peers]
    known = [(member, read) for member, read in found if read is not None]
    return known if len(known) == len(found) else []


def differs(target: Target, held: Sequence[tuple[Setpoint, ReadBack]]) -> str:
    """How what was read differs from the target, in words of the first member that does; "" when all agree."""
    for member, read in held:
        if not member.agrees(part(target, member), read):
            name = f"{member.spec.name}: " if len(held) > 1 else ""
            return f"{name}no limit in force upstream" if read.none else f"{name}upstream says {shorten(read.raw)}"
    return ""
