"""Everything the page shows and does: implements `web.ports.PagePort` on a running gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.app.page.commands import CommandRows
from gateway.app.page.detail import Detail
from gateway.app.page.downloads import Downloads
from gateway.app.page.overview import Overview, Status
from gateway.app.page.places import Places
from gateway.app.page.points import PointRows
from gateway.app.page.records import MOST_REPORTED, Records
from gateway.app.page.report import AROUND_S, Reduction, Subject, html, mean, reductions
from gateway.app.page.zones import Cards
from gateway.app.plant import Plant
from gateway.core.priority import Origin
from gateway.telemetry import Recent
from gateway.web.ports import File, Filter, Row, Selection, Unknown

MOST_SAMPLES = 2000
MOST_REDUCTIONS = 200
"""A report says what was measured around so many."""


class Page:
    """The parts of the page, each made of the plant."""

    def __init__(self, plant: Plant, status: Status, downloads: Downloads, recent: Recent) -> None:
        self._plant, self._downloads, self._recent = plant, downloads, recent
        self._places = Places(plant)
        self._rows = PointRows(plant, self._places, plant.forcing)
        self._cards = Cards(plant, self._places, self._rows)
        self._commands = CommandRows(plant, self._places, self._rows)
        self._detail = Detail(plant, self._places, self._rows, plant.forcing)
        self._overview = Overview(plant, plant.forcing, status)
        self._records = Records(plant)

    @property
    def local_slot(self) -> int:
        """The slot of who writes here."""
        return self._plant.site.config.control.local_slot

    @property
    def generation(self) -> int:
        """Changes when points appear, move or get other names."""
        return self._places.refresh()

    def overview(self) -> dict[str, Any]:
        """Sources, servers and what needs somebody."""
        return self._overview.now()

    def zones(self) -> list[dict[str, Any]]:
        """All cards."""
        return self._cards.all()

    async def points(self, selection: Selection) -> dict[str, Any]:
        """One page of the points table."""
        return await self._rows.select(selection)

    def live(self, ids: Sequence[int]) -> list[Row]:
        """What changes of points; those that are not served any more are left out."""
        return [self._rows.changing(index) for index in ids if index in self._plant.placed]

    def card_ids(self) -> frozenset[int]:
        """The points that cards show."""
        return self._cards.ids()

    def detail(self, point: str) -> dict[str, Any]:
        """Where a value comes from."""
        return self._detail.of(point)

    def commands(self, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Commandable points with their slots."""
        return self._commands.all(ids)

    async def actions(self) -> list[dict[str, Any]]:
        """One-shot actions."""
        return await self._commands.actions()

    def clients(self) -> dict[str, Any]:
        """The observatory: who asks what, and what is probably wrong with it."""
        observatory = self._plant.observatory
        return {"clients": observatory.clients(), "hints": observatory.hints()}

    async def write(self, point: str, value: Any, origin: Origin, *, slot: int, until: float | None) -> dict[str, Any]:
        """Writes or releases a slot."""
        return await self._commands.write(point, value, origin, slot=slot, until=until)

    async def act(self, point: str, code: int, origin: Origin) -> dict[str, Any]:
        """Fires an action."""
        return await self._commands.act(point, code, origin)

    def force(self, point: str, value: Any, seconds: float, origin: Origin) -> dict[str, Any]:
        """Takes a point out of service."""
        self._plant.forcing.force(self._index(point), value, seconds, origin)
        return self._detail.of(point)

    def unforce(self, point: str, origin: Origin) -> dict[str, Any]:
        """Brings it back."""
        self._plant.forcing.release(self._index(point), origin)
        return self._detail.of(point)

    async def history(self, point: str, since: float, until: float, most: int) -> dict[str, Any]:
        """Recorded values of a point, oldest first; empty when the mapping keeps none of it."""
        index = self._index(point)
        samples = await self._plant.history.read(index, since, until, most)
        return {
            "point": point,
            "unit": self._plant.table.specs[index].unit,
            "kept": self._plant.history.log(index) is not None,
            "rows": [[round(s.at, 2), s.value, s.quality.name.lower()] for s in samples],
        }

    def end(self) -> None:
        """The gateway stops."""
        self._records.end()

    async def evidence(self, wanted: Filter) -> dict[str, Any]:
        """Newest records."""
        return await self._records.newest(wanted)

    async def verify(self) -> dict[str, Any]:
        """Whether the chain is whole."""
        return await self._records.verify()

    async def evidence_csv(self, wanted: Filter) -> File:
        """Records for a spreadsheet."""
        return await self._records.table(wanted)

    async def report(self, point: str, since: str, until: str) -> File:
        """The printable report of a commandable point's reductions."""
        index = self._index(point)
        spec = self._plant.table.specs[index]
        if spec.command is None:
            raise Unknown(f"{point} is never commanded, so there is no reduction to report")
        records = await self._records.of_point(point, since, until)
        measured = self._measured_beside(index)
        found = reductions(records)
        rows = [(one, *await self._around(one, measured)) for one in found[-MOST_REDUCTIONS:]]
        subject = Subject(
            self._plant.site.config.site,
            point,
            spec.unit,
            "" if measured is None else self._plant.table.names[measured],
            "" if measured is None else self._plant.table.specs[measured].unit,
        )
        cut = len(found) > MOST_REDUCTIONS or len(records) == MOST_REPORTED
        content = html(subject, rows, records, self._plant.clock.wall(), cut=cut)
        return File("report.html", "text/html; charset=utf-8", content)

    def _measured_beside(self, index: int) -> int | None:
        """The current of the resource whose limit this is."""
        resource = self._places.resource(index)
        if resource is None:
            return None
        points = resource.kind.points
        return next((resource.indices[name] for name, spec in points.items() if spec.card == "current"), None)

    async def _around(self, one: Reduction, measured: int | None) -> tuple[float | None, float | None]:
        """The mean before it was asked, and after it was in force."""
        if measured is None:
            return None, None
        before = await self._mean(measured, one.asked_at - AROUND_S, one.asked_at)
        if one.in_force_at is None:
            return before, None
        end = min(one.in_force_at + AROUND_S, self._plant.clock.wall())
        return before, await self._mean(measured, one.in_force_at, end)

    async def _mean(self, index: int, since: float, until: float) -> float | None:
        samples = await self._plant.history.read(index, since, until, MOST_SAMPLES)
        return mean(samples, since, until) if until > since else None

    def downloads(self) -> list[dict[str, Any]]:
        """What can be saved."""
        return self._downloads.all()

    async def download(self, name: str) -> File:
        """One file."""
        return await self._downloads.get(name)

    def log(self, after: int) -> dict[str, Any]:
        """The newest state changes, those after a number."""
        return self._recent.since(after)

    def _index(self, point: str) -> int:
        index = self._plant.table.find(point)
        if index is None:
            raise Unknown(f"there is no point {point!r}")
        return index
