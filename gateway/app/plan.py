"""What a changed configuration would do to registers and objects, before it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.addressing.served import Difference, ServedPoint, differences, moves
from gateway.app.load import Site
from gateway.app.published import planned_map
from gateway.store.published import load_accepted, load_published


@dataclass(frozen=True, slots=True)
class Plan:
    """`against` says in words with what this configuration was compared; hashes are those of both maps.

    `refused` are differences that a publication forbids; `before` is None when nothing was ever served.
    """

    against: str
    before: str | None
    after: str
    differences: Sequence[Difference]
    refused: Sequence[Difference]


def make_plan(site: Site, running: tuple[str, Sequence[ServedPoint]] | None) -> Plan:
    """Compares a configuration with the running gateway's (hash, map), else with what was published or served last.

    Raises:
        ConfigError: a file of the state directory cannot be read.
    """
    planned = planned_map(site)
    served, dismissed = planned.served(), planned.dismissed
    published = load_published(site.state_dir)
    accepted = load_accepted(site.state_dir)
    before: Sequence[ServedPoint] = ()
    known: str | None = None
    if running is not None:
        against, (known, before) = "the running gateway", running
    elif published is not None:
        against, known, before = f"the map published {published.published}", published.map_hash, published.points
    elif accepted is not None:
        against, known, before = "the map served last", accepted.map_hash, accepted.points
    else:
        against = "nothing: no gateway ever ran on this state directory, and nothing was published"
    refused = moves(published.points, served, dismissed) if published is not None else []
    return Plan(against, known, f"{planned.map_hash:016x}", differences(before, served, dismissed), refused)
