"""The images of all units, kept equal to the point table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.addressing import PlacedPoint, PlacedRegister, Span
from gateway.engine.table import PointTable
from gateway.servers.modbus.cells import BitRegister, Cell, check_place, compile_bit, compile_cells, is_bits
from gateway.servers.modbus.image import Image


class Units:
    """Unit id to image, and what to do with a changed point.

    With `one_unit` every register is in one image, answered as `unit`, 0 and 255 (Modbus Messaging on TCP/IP
    Implementation Guide V1.0b, 4.4.2.1); otherwise every unit that a register or span names has its own. `common` is
    a range of one unit that stands in all others too; it is compiled once, and copied when it has changed.
    """

    def __init__(
        self, table: PointTable, spans: Iterable[Span], *, one_unit: bool, unit: int, common: Span | None = None
    ) -> None:
        self._table = table
        self._one_unit = one_unit
        self._images: dict[int, Image] = {}
        self._cells: list[tuple[Cell, ...]] = []
        self._bits: dict[tuple[int, int], BitRegister] = {}
        self._unseen: set[int] = set()
        self._spans: set[Span] = set()
        self._common = common
        self._home = Image()
        self._guests: list[Image] = []
        self._shown = b""
        if one_unit:
            self._unit = unit
            self._images = dict.fromkeys((unit, 0, 255), self._home)
        elif common is not None:
            self._images[common.unit] = self._home
        self._add_spans(spans)
        table.subscribe(self.refresh)

    def close(self) -> None:
        """The table is not followed any more."""
        self._table.unsubscribe(self.refresh)

    @property
    def images(self) -> Mapping[int, Image]:
        """Every unit id that is answered; grows with `place`."""
        return self._images

    def place(self, points: Sequence[tuple[int, PlacedPoint]], spans: Iterable[Span] = ()) -> None:
        """Adds points by table index and shows what the table holds; placing one again replaces it.

        `spans` are those of the units they are in; known ones change nothing.

        Raises:
            ValueError: a register outside 0..65535 or a unit outside 1..255.
        """
        self._add_spans(spans)
        for index, point in points:
            cells: list[Cell] = []
            for placed in point.registers:
                cells += self._compile(index, point, placed)
            while len(self._cells) <= index:
                self._cells.append(())
            self._cells[index] = tuple(cells)
            if point.spec.optional:
                self._unseen.add(index)
        self.refresh([index for index, _ in points])
        if self._common is not None and any(self._is_common(placed) for _, p in points for placed in p.registers):
            for image in self._guests:
                image.join(self._home, self._common)

    def refresh(self, changed: Sequence[int]) -> None:
        """Encodes changed points; the table calls it once per step, before anybody can read."""
        sample, cells, unseen = self._table.sample, self._cells, self._unseen
        placed = len(cells)
        for index in changed:
            if index >= placed or (unseen and index in unseen and not self._now_seen(index)):
                continue
            value, quality, _, _ = sample(index)
            for show in cells[index]:
                show(value, quality)
        if self._guests and self._common is not None:
            self._show_common(self._common)

    def _show_common(self, common: Span) -> None:
        first, end = common.first, common.first + common.count
        shown = self._home.data[first * 2 : end * 2] + self._home.state[first:end] + self._home.coils[first:end]
        if shown != self._shown:
            self._shown = bytes(shown)
            for image in self._guests:
                image.copy(self._home, common)

    def _is_common(self, placed: PlacedRegister) -> bool:
        common = self._common
        inside = common is not None and common.first <= placed.register < common.first + common.count
        return inside and common is not None and placed.unit == common.unit

    def _add_spans(self, spans: Iterable[Span]) -> None:
        for span in spans:
            if span not in self._spans:
                self._spans.add(span)
                self._image(span.unit).add_span(span)

    def _now_seen(self, index: int) -> bool:
        """An optional point takes its registers with its first value; until then they are a gap."""
        if not self._table.seen(index):
            return False
        self._unseen.discard(index)
        return True

    def _compile(self, index: int, point: PlacedPoint, placed: PlacedRegister) -> list[Cell]:
        check_place(placed)
        image = self._image(placed.unit)
        image.place_own(index, point, placed)
        if not is_bits(placed.spec.type):
            return compile_cells(image, index, point.spec, placed)
        key = (self._unit if self._one_unit else placed.unit, placed.register)
        bits = self._bits.get(key)
        if bits is None:
            bits = self._bits[key] = BitRegister(image, placed.register)
        return [compile_bit(bits, index, point.spec, placed)]

    def _image(self, unit: int) -> Image:
        if self._one_unit:
            return self._images[self._unit]
        if not 1 <= unit <= 255:
            raise ValueError(f"unit {unit} is outside 1..255")
        image = self._images.get(unit)
        if image is None:
            image = self._images[unit] = Image()
            if self._common is not None:
                image.join(self._home, self._common)
                self._guests.append(image)
        return image
