"""`evce-gateway plan`: what a changed configuration would do to registers and objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from gateway.addressing.served import Difference, ServedPoint
from gateway.app.load import Site, load_site
from gateway.app.plan import Plan, make_plan
from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile, Json, ask
from gateway.cli.codes import DONE, REFUSED
from gateway.store.published import point_of
from gateway.web import ControlError

COLORS = {"added": "green", "removed": "red", "moved": "red", "retyped": "red", "changed": "yellow"}
MOST_ROWS = 60


def plan(*, config: ConfigFile = DEFAULT, json_: Json = False) -> int:
    """Show which registers and objects a change adds, changes, moves or removes; nothing is changed by it.

    The files are compared with the running gateway, else with the published map, else with the map served last. It
    needs no product: what is not discovered yet comes from `expect`.

    Exit code 0 whatever differs, 4 when a published address would move: then only --accept-moves lets it.
    """
    site = load_site(config)
    found = make_plan(site, _running(site))
    if json_:
        show.show_json(_as_json(found))
    else:
        _show(found)
    return REFUSED if found.refused else DONE


def _running(site: Site) -> tuple[str, Sequence[ServedPoint]] | None:
    try:
        answer = ask(site, "GET", "/map")
    except ControlError as error:
        if error.reached:
            raise
        return None
    return answer["map_hash"], [point_of(point) for point in answer["points"]]


def _as_json(found: Plan) -> dict[str, Any]:
    return {
        "against": found.against,
        "map_hash": {"before": found.before, "after": found.after},
        "differences": [asdict(one) for one in found.differences],
        "refused": [asdict(one) for one in found.refused],
    }


def _show(found: Plan) -> None:
    show.out.print(f"compared with {show.clean(found.against)}")
    if found.before is not None:
        same = "is the same" if found.before == found.after else f"was {found.before}"
        show.out.print(f"map {found.after} ({same})")
    else:
        show.out.print(f"map {found.after}")
    if not found.differences:
        show.out.print("no difference: every register and object stays as it is")
    counts = Counter(one.what for one in found.differences)
    if counts:
        show.out.print(", ".join(f"[{COLORS[what]}]{count} {what}[/]" for what, count in counts.items()))
    show.out.print(_table(found.differences[:MOST_ROWS]) if found.differences else "")
    if len(found.differences) > MOST_ROWS:
        show.out.print(f"... and {len(found.differences) - MOST_ROWS} more; --json shows all")
    if found.refused:
        show.err.print(f"{len(found.refused)} published addresses would not hold: check, run and reload refuse this")
        for one in found.refused[:MOST_ROWS]:
            show.err.print(f"  {show.clean(one)}")
        show.err.print("say --accept-moves to `run`, `reload` or `addresses publish` if it is meant")


def _table(rows: Sequence[Difference]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("change", "point", "what"):
        table.add_column(name, overflow="fold", no_wrap=name == "change")
    for one in rows:
        table.add_row(f"[{COLORS[one.what]}]{one.what}[/]", show.clean(one.name), show.clean(one.text))
    return table
