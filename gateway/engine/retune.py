"""A command desk whose points and terms may change while the gateway runs.

Rules of this file: what is asked outlives a reload: slots, leases, what is under way and what is owed; nothing is sent
again because of one; a point that holds something is never taken away, for then nobody would release it; what the new
rules do not allow ends as a lease does, and is told (C10).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.core.delivery import PUT_GAP_S, Delivery, WriteStatus
from gateway.core.lease import GroupTerms
from gateway.engine.commands import CommandDesk
from gateway.engine.joint import join
from gateway.engine.likeness import same_command, same_unit
from gateway.engine.relayout import Layout
from gateway.engine.resource import Resource
from gateway.engine.setpoint import Limits, Policy, Setpoint

FEW = 3
UNREACHED = (
    ". Nothing can be sent for it now; if that does not end, restart the gateway with these files: the product then "
    "keeps what it holds, and nobody releases it"
)


class LiveDesk(CommandDesk):
    """The command desk of a gateway that reloads: `retune`, then `learn` every resource, then `settle`."""

    _changing = False

    # -- whether it may be ---------------------------------------------------------------------------------------

    def obstacles(self, policy: Policy, lost: Collection[Resource], layouts: Mapping[str, Layout]) -> list[str]:
        """Why the desk must not take over a configuration, in words; [] when it may.

        `lost` are resources that will be no more; `layouts` are those of the sources that change.
        """
        if policy.dry_run and not self.policy.dry_run:
            held = [self._table.names[p.index] for p in self._points.values() if _in_earnest(p)]
            if held:
                more = f" and {len(held) - FEW} more" if len(held) > FEW else ""
                shown = ", ".join(held[:FEW]) + more
                return [f"limits are set or being released ({shown}): release them first, then turn dry run on"]
        found = []
        for point in self._points.values():
            why, what = self._end_of(point, lost, layouts), _bound(point)
            if why and what:
                found.append(f"{self._table.names[point.index]} {why}, and {what}{self._way_out(point)}")
        return found

    @staticmethod
    def _way_out(point: Setpoint) -> str:
        """What to do about a point that is bound; one that nobody can reach can never be released."""
        todo = ": release it first, then reload" if point.slots.winner else "; reload when that is done"
        return todo if point.delivery.is_ready else todo + UNREACHED

    @staticmethod
    def _end_of(point: Setpoint, lost: Collection[Resource], layouts: Mapping[str, Layout]) -> str:
        """How a point could not go on as the same, in words; "" when it can."""
        if point.resource in lost:
            return "would be no more"
        layout = layouts.get(point.resource.source)
        if layout is None:
            return ""
        kind = next(kind for kind in layout.kinds if kind.name == point.resource.kind.name)
        spec = kind.points.get(point.spec.name)
        if spec is None or spec.command is None:
            return "could not be written any more"
        names = {peer.spec.name for peer in point.peers}
        return "" if {point.spec.name, *spec.command.together} == names else "would be sent together with other points"

    # -- the three steps -----------------------------------------------------------------------------------------

    def retune(self, policy: Policy, overrides: Mapping[str, Limits], groups: Mapping[str, GroupTerms]) -> None:
        """Other terms, which `learn` and `settle` bring to the points."""
        self._changing = True
        self._ended_dry_run = self.policy.dry_run and not policy.dry_run
        self._rewritten: set[Setpoint] = set()
        self._meaningless: set[Setpoint] = set()
        self._fresh: dict[Setpoint, Delivery] = {}
        self.policy, self._overrides = policy, overrides
        self._supervision.retune(groups)
        self._keeper.retune(policy)

    def _renew(self, known: Setpoint, point: Setpoint) -> None:
        super()._renew(known, point)
        if not self._changing:
            return
        if not same_command(known.spec, point.spec):
            self._rewritten.add(known)
        if not same_unit(known.spec, point.spec):
            self._meaningless.add(known)
        known.spec, known.command, known.read_only = point.spec, point.command, point.read_only
        known.delivery.retune(
            on_conflict=point.command.on_conflict,
            gap_s=PUT_GAP_S if point.command.gap_s is None else point.command.gap_s,
            valid_for_s=point.command.valid_for_s,
        )
        self._fresh[known] = point.delivery

    def settle(self, lost: Collection[Resource]) -> None:
        """The inventory has its new form: points that are no more go, all others are judged by the rules of now."""
        self._changing = False
        gone = [point for point in self._points.values() if point.resource in lost or not _is_there(point)]
        for point in gone:
            del self._points[point.index]
            self._keeper.forget(point)
        self._sender.forget(gone)
        for noted in (self._releases, self._watched, self._scaled):
            noted.clear()
        points = list(self._points.values())
        self._rejoin(points)
        for point in points:
            self._note(point)
        if self._ended_dry_run:
            self._begin_in_earnest(points)
        for point in self._rewritten - set(gone):
            point.observed, point.basis, point.asked, point.read = False, None, None, None
            point.delivery.lost()
        self._keeper.rejudge(points, meaningless=self._meaningless)
        self._moved([p for p in points if p.slots.winner or p.release_due or p.delivery.target is not None])
        self._show(points)

    def _rejoin(self, points: Collection[Setpoint]) -> None:
        """Points that hold nothing may leave with others now."""
        resources: dict[Resource, dict[str, Setpoint]] = {}
        for point in points:
            resources.setdefault(point.resource, {})[point.spec.name] = point
        for resource, members in resources.items():
            changed = {point for point in members.values() if _group(point) != [peer.spec.name for peer in point.peers]}
            for point in changed:
                point.delivery = self._fresh.get(point, point.delivery)
                self._rewritten.add(point)
            names = [name for name in resource.kind.points if name in members]
            join({name: members[name] for name in names if members[name] in changed})

    def _begin_in_earnest(self, points: Collection[Setpoint]) -> None:
        """Dry run has ended: nothing was ever sent of what was pretended."""
        for point in points:
            if point.delivery.status is WriteStatus.DRY_RUN and point is point.peers[0]:
                fresh = self._fresh[point]
                for member in point.peers:
                    member.delivery, member.aimed = fresh, None
                    self._rewritten.add(member)

    def _on_table(self, changed: Collection[int]) -> None:
        """While a reload is half done, no point is judged by what it refers to."""
        if not self._changing:
            super()._on_table(list(changed))


def _group(point: Setpoint) -> list[str]:
    """The points of its resource that leave with it, itself among them, in the order of the mapping."""
    return [name for name in point.resource.kind.points if name == point.spec.name or name in point.command.together]


def _is_there(point: Setpoint) -> bool:
    """Whether its resource still has it, and it can still be written."""
    spec = point.resource.kind.points.get(point.spec.name)
    at = point.resource.indices.get(point.spec.name)
    return spec is not None and spec.command is not None and at == point.index


def _bound(point: Setpoint) -> str:
    """What a point still holds or owes, in words; "" for nothing."""
    held = [(number, slot) for number, slot in point.slots.occupied if not slot.dry]
    if held:
        number, slot = held[0]
        shown = f"{slot.value:g}" if isinstance(slot.value, float) else str(slot.value)
        return f"slot {number} holds {shown} {point.spec.unit}".rstrip() + f" of {slot.origin.group}"
    if point.release_due or point.delivery.target is not None or point.delivery.in_flight is not None:
        return "its release is not verified yet"
    return "a write is under way" if point.committing else ""


def _in_earnest(point: Setpoint) -> bool:
    """Whether dry run must not begin (C13)."""
    slots = [slot for _, slot in point.slots.occupied] + list(point.slots.lapsed.values())
    return bool(_bound(point)) or any(not slot.dry for slot in slots)
