"""What may be read: EVCE's table "EBMS permissions" (guide 2.4.2) and the reads of Bender's REST API v1.0.

Only GETs stand here. Paths of Bender's messages, dashboard and app settings are not in its text and are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One readable path below the base; `{id}` is an id out of the list at `ids`."""

    path: str
    ids: str | None = None
    kind: str = ""

    @property
    def is_list(self) -> bool:
        """Whether it lists resources of `kind`."""
        return bool(self.kind) and self.ids is None


NEVER_ASKED = "{cmd_id}"
"""An id that only a command gives: such a path is shown and not asked."""

_EVCE = (
    Endpoint("/stations", kind="station"),
    Endpoint("/stations/statuses"),
    Endpoint("/stations/models"),
    Endpoint("/stations/firmwares", kind="firmware"),
    Endpoint("/stations/firmwares/{id}", "/stations/firmwares"),
    Endpoint("/stations/diagnostics"),
    Endpoint("/stations/{id}", "/stations"),
    Endpoint("/stations/{id}/status", "/stations"),
    Endpoint("/stations/{id}/firmware", "/stations"),
    Endpoint("/stations/{id}/diagnostics", "/stations"),
    Endpoint("/stations/{id}/cmds/status/{cmd_id}", "/stations"),
    Endpoint("/em/zones", kind="zone"),
    Endpoint("/em/zones/{id}", "/em/zones"),
    Endpoint("/em/zones/{id}/status", "/em/zones"),
    Endpoint("/em/zones/{id}/reduction", "/em/zones"),
    Endpoint("/em/zones/{id}/stations", "/em/zones"),
    Endpoint("/pms", kind="meter"),
    Endpoint("/pms/{id}", "/pms"),
    Endpoint("/pms/{id}/values", "/pms"),
    Endpoint("/pms/models", kind="meter model"),
    Endpoint("/pms/models/{id}", "/pms/models"),
)
_BENDER = (
    Endpoint("/system_state"),
    Endpoint("/settings"),
    Endpoint("/app_settings"),
    Endpoint("/transactions/summary"),
    Endpoint("/transactions"),
    Endpoint("/transactions/active"),
    Endpoint("/messages"),
    Endpoint("/dashboard"),
)
ENDPOINTS: Mapping[str, tuple[Endpoint, ...]] = {"evce": _EVCE, "bender": _BENDER}
WRITES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "evce": (
        ("PUT", "/em/zones/{id}/reduction"),
        ("PUT", "/em/zones/{id}"),
        ("PUT", "/stations/{id}"),
        ("POST", "/stations/{id}/cmds/remote_start"),
        ("POST", "/stations/{id}/cmds/remote_stop"),
        ("POST", "/stations/{id}/cmds/reset"),
        ("POST", "/stations/{id}/cmds/change_availability"),
    ),
    "bender": (("POST", "/settings"),),
}
"""Bodies worth seeing in an OpenAPI file; nothing of this is ever sent by `discover`."""
