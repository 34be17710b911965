"""What every export is rendered from: one map, with its header, its points and its BACnet objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.addressing import PlacedPoint


@dataclass(frozen=True, slots=True)
class MapHead:
    """What stands above every export; `map_hash` is what both protocols show, `made` is UTC.

    `units` as `modbus.units` (None without a Modbus server), `devices` as `bacnet.devices` (None without BACnet).
    """

    site: str
    version: str
    map_hash: str
    made: str
    units: str | None
    first_unit: int
    devices: str | None

    @property
    def title(self) -> str:
        """The site's name, or what this is if it has none."""
        return self.site or "EVCE gateway"


@dataclass(frozen=True, slots=True)
class MapPoint:
    """A placed point and where its objects are: (device, object type, instance), in the order of its objects."""

    placed: PlacedPoint
    twins: Sequence[tuple[int, str, int]]
    row: dict[str, Any]
    """Its row of `points --json`, without a value."""


@dataclass(frozen=True, slots=True)
class MapObject:
    """One BACnet object as a client would read it; numbers are None where it has no such property.

    `code` is the standard's number of its type, `unit` that of its engineering units; `written` are the properties
    that clients may write.
    """

    device: int
    type: str
    code: int
    instance: int
    name: str
    description: str = ""
    unit: int | None = None
    states: Sequence[str] = ()
    default: float | None = None
    low: float | None = None
    high: float | None = None
    written: Sequence[str] = ()
    cov: bool = False
    low_limit: float | None = None
    high_limit: float | None = None
    notification_class: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a BACnet device says of itself, read from its own Device object.

    `services` are the bits of Protocol_Services_Supported, `types` the numbers of Protocol_Object_Types_Supported.
    """

    vendor: str
    vendor_id: int
    model: str
    firmware: str
    application: str
    revision: int
    max_apdu: int
    max_segments: int
    services: frozenset[int]
    types: dict[int, str]
    devices: int = 1
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class MapSpec:
    """A whole map. `facts` is None without a BACnet server; `units` are the texts of the unit codes that are used."""

    head: MapHead
    points: Sequence[MapPoint]
    objects: Sequence[MapObject] = ()
    facts: DeviceFacts | None = None
    units: dict[int, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[tuple[int, str, int], str]:
        """Object_Name by device, type and instance."""
        return {(one.device, one.type, one.instance): one.name for one in self.objects}
