"""One zone, station, ... of a source, as the engine knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.addressing import Seat, Stand
from gateway.core.plausible import unless_frozen
from gateway.core.point import KindSpec, Path, PointSpec, point_name
from gateway.core.value import Converter

NOT_READ, NOT_PRESENT = "not read yet", "not present"
"""Troubles that are none of the name's: no list was answered yet, or the answer did not hold it."""
PlanRow = tuple[int, PointSpec, Path, Converter | None]
"""Where a point's sample goes, and how it is taken from a document."""


def converter_of(spec: PointSpec) -> Converter | None:
    """What turns raw values into samples, for one resource's point alone if it has to remember them."""
    if spec.convert is None or spec.frozen_after_s is None:
        return spec.convert
    return unless_frozen(spec.convert, spec.frozen_after_s, spec.stale_after_s)


@dataclass(eq=False, slots=True)
class Resource:
    """One resource with the table indices of its points.

    `trouble` says why it must not be written ("" when all is well); `id` is the product's newest id; `resolved`
    is the session in which a list answer last held its name, 0 before any did; `listings` is how many held it.
    A `dismissed` one was forgotten or retired by the operator: it is no alarm. `block` is where it is served, None
    when there was no block left; `seat` is where its registers are, `stand` where its BACnet objects, None when it has
    none or no unit or device was left.
    """

    source: str
    kind: KindSpec
    name: str | None
    id: str | None
    parent: Resource | None
    indices: dict[str, int] = field(default_factory=dict)
    children: dict[str, Resource] = field(default_factory=dict)
    members: list[str] | None = None
    present: bool = False
    trouble: str = NOT_READ
    dismissed: bool = False
    block: int | None = None
    seat: Seat | None = None
    stand: Stand | None = None
    resolved: int = 0
    listings: int = 0
    plans: dict[str, list[PlanRow]] = field(default_factory=dict)

    @property
    def path_values(self) -> dict[str, str]:
        """What `{id}` and `{parent.id}` stand for."""
        values = {"id": self.id} if self.id is not None else {}
        if self.parent is not None and self.parent.id is not None:
            values["parent.id"] = self.parent.id
        return values

    @property
    def label(self) -> str:
        """The name of a person's liking: `source/kind/name`."""
        return point_name(self.source, self.kind.name, self.name, "").rstrip("/")

    @property
    def outermost(self) -> Resource:
        """The one it lives in that lives in none, itself if it lives in none."""
        resource = self
        while resource.parent is not None:
            resource = resource.parent
        return resource

    @property
    def usable(self) -> bool:
        """Whether its answers count: it is listed under a name of its own."""
        return self.present and not self.trouble

    def reader(self, read: str) -> Resource:
        """The resource whose request answers `read`: itself, or the outer one it lives in."""
        resource = self
        while read not in resource.kind.reads and resource.parent is not None:
            resource = resource.parent
        return resource
