"""Which resources exist: list answers matched to blocks, and names kept honest.

Rules of this file: one that is not present says so; one whose name is ambiguous, swapped, or of another type is
inhibited, and nothing is ever sent to it; what happens to many at once is one line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from gateway.addressing import AddressBook, Assignment, DevicePlan, Entry, Match, PlacedPoint, UnitPlan, nameless
from gateway.core.point import KindSpec
from gateway.core.registers import Order
from gateway.core.value import BAD
from gateway.engine.counters import Counters
from gateway.engine.lookalikes import lookalikes
from gateway.engine.ports import Clock, Listed
from gateway.engine.resource import NOT_PRESENT, NOT_READ, Resource
from gateway.engine.roster import Roster, measured
from gateway.engine.table import PointTable

EMPTY_POLLS = 3
FEW = 3
"""So many of a kind are told one by one, more in one line."""
log = structlog.get_logger("inventory")


@dataclass(frozen=True, slots=True)
class _Answer:
    """A list answer as it was taken, to be taken again after a correction."""

    kind: KindSpec
    listed: Sequence[Listed]
    exclude: Sequence[str]
    session: int
    certificate: str | None


@dataclass(slots=True)
class _News:
    """What one list answer brought, told at its end; `others` counts what was not bound to another id."""

    new: list[Resource] = field(default_factory=list)
    rebound: list[tuple[Resource, str]] = field(default_factory=list)
    others: int = 0


class Inventory(Roster):
    """All resources of all sources, as the products list them.

    `lookalikes` are names of a source and kind that differ only by case, spaces or Unicode form.
    """

    def __init__(
        self,
        table: PointTable,
        book: AddressBook,
        clock: Clock,
        *,
        word_order: Order,
        byte_order: Order,
        units: UnitPlan,
        devices: DevicePlan | None = None,
        on_placed: Callable[[Resource, Sequence[tuple[int, PlacedPoint]]], None],
        on_dirty: Callable[[], None],
        on_lost: Callable[[str], None] = lambda _source: None,
    ) -> None:
        super().__init__(
            table,
            book,
            clock,
            word_order=word_order,
            byte_order=byte_order,
            units=units,
            devices=devices,
            on_placed=on_placed,
            on_dirty=on_dirty,
            on_lost=on_lost,
        )
        self.lookalikes: dict[tuple[str, str], list[list[str]]] = {}
        self.counters = Counters(table)
        self._answers: dict[tuple[str, str], _Answer] = {}
        self._empty: dict[tuple[str, str], int] = {}
        self._gone: dict[Resource, str] = {}
        self._nameless: dict[tuple[str, str], list[str]] = {}

    # -- list answers --------------------------------------------------------------------------------------------

    def listed(
        self,
        source: str,
        kind: KindSpec,
        answer: Sequence[Listed],
        exclude: Sequence[str],
        session: int,
        certificate: str | None = None,
    ) -> bool:
        """Takes a list answer of a session, which came under a certificate (None: plain http).

        Returns whether resources came, went or changed their id or name.
        """
        key = (source, kind.name)
        self._exclude[source] = exclude
        renewed = self._certify(source, certificate)
        answer = self._named(key, answer)
        hidden = [item for item in answer if self._is_excluded(source, kind, item.name)]
        wanted = [item for item in answer if item not in hidden] if hidden else list(answer)
        if not wanted and any(not r.dismissed for r in self.of(*key)) and self._empty.get(key, 0) < EMPTY_POLLS - 1:
            self._empty[key] = self._empty.get(key, 0) + 1
            if self._empty[key] == 1:
                log.warning("list.empty", source=source, kind=kind.name)
            return renewed
        self._empty[key] = 0
        self._answers[key] = _Answer(kind, answer, exclude, session, certificate)
        listed = [(item.id, item.name) for item in wanted]
        by_id = {resource.id: resource for resource in self.of(*key) if resource.id is not None}
        taken = self._book.assign(source, kind.name, listed, self._capacity(kind), {item.id for item in hidden})
        changed = self._take_all(source, kind, taken, {item.id: item.guard for item in wanted}, by_id, session)
        self._note_lookalikes(key, [item.name for item in wanted])
        self._saved()
        return changed or renewed

    def again(self, source: str) -> None:
        """Takes a source's last list answers once more, after the book was corrected."""
        for (owner, _), answer in list(self._answers.items()):
            if owner == source:
                args = (answer.listed, answer.exclude, answer.session, answer.certificate)
                self.listed(source, answer.kind, *args)

    def last_listed(self, source: str, kind: str) -> Sequence[Listed] | None:
        """The last list answer of a kind, None before there was one."""
        answer = self._answers.get((source, kind))
        return answer.listed if answer is not None else None

    def _certify(self, source: str, certificate: str | None) -> bool:
        """Another certificate: nothing is what it was until it was found by its name. Returns whether it is so."""
        if not self._book.certify(source, certificate):
            return False
        doubtful = [
            r for r in self.resources.values() if r.source == source and not r.dismissed and not r.kind.is_single
        ]
        for resource in doubtful:
            resource.present, resource.trouble = False, NOT_READ
        count = sum(resource.parent is None for resource in doubtful)
        text = f"certificate changed: {count} resources matched by name only"
        log.warning("certificate.changed", source=source, reason=text, certificate=certificate)
        self._on_lost(source)
        return True

    def _take_all(
        self,
        source: str,
        kind: KindSpec,
        taken: Sequence[Assignment],
        guards: dict[str, str | None],
        by_id: dict[str, Resource],
        session: int,
    ) -> bool:
        """Brings every assignment of an answer into force, and blanks what is not in it."""
        changed = False
        seen: set[Resource] = set()
        news = _News()
        for item in taken:
            for resource in self._owners(source, kind, item, by_id, news):
                changed |= self._take(resource, item, guards.get(item.id), news, fresh=resource not in seen)
                resource.resolved = session
                resource.listings += 1
                seen.add(resource)
        gone = [r for r in self.of(source, kind.name) if r not in seen and not r.dismissed]
        changed |= self._missing(kind, gone, [resource for resource in news.new if len(gone) > 0])
        self._homeless.listed(source, kind.name, sum(item.match is Match.FULL for item in taken))
        _tell(source, kind.name, news)
        return changed

    def _owners(
        self, source: str, kind: KindSpec, item: Assignment, by_id: dict[str, Resource], news: _News
    ) -> list[Resource]:
        """The resources a listed item stands for: one, made if new; of a duplicate both the id's and the name's."""
        if item.match is Match.DUPLICATE:
            both = (self.resources.get((source, kind.name, item.name)), by_id.get(item.id))
            return [resource for resource in dict.fromkeys(both) if resource is not None]
        entry = item.entry
        if entry is None:
            return []
        resource = self._by_block.get((source, kind.name, entry.block))
        if resource is None:
            resource = self._add(source, kind, entry.name, entry.id, None, "")
            resource.present = False
            news.new.append(resource)
        return [resource]

    def _take(self, resource: Resource, item: Assignment, guard: str | None, news: _News, *, fresh: bool) -> bool:
        """Brings one assignment of a resource into force; returns whether anything changed."""
        kind, entry = resource.kind.name, item.entry
        resource.dismissed = False
        if item.match is Match.DUPLICATE or entry is None:
            return self._inhibit(resource, f"two or more {kind}s are named {item.name!r}")
        if not fresh:
            return False
        news.others += 1
        changed = not resource.present or resource.id != item.id
        if resource.name != entry.name:
            self._rename(resource, entry.name)
            changed = True
        if changed and resource.id is not None:
            if resource.id != item.id and item.match is Match.REBOUND:
                news.rebound.append((resource, resource.id))
                news.others -= 1
            self.counters.watch(resource)
        resource.id, resource.present = item.id, True
        self._compare_guard(entry, guard)
        if entry.waits:
            return self._inhibit(resource, self.waiting_text(entry)) or changed
        changed |= bool(resource.trouble)
        resource.trouble = ""
        return changed

    def _compare_guard(self, entry: Entry, guard: str | None) -> None:
        """A type that differs from the known one waits for a confirmation, also when it changed while we were down."""
        if guard is None or entry.new_name is not None:
            return
        new = guard if entry.guard not in (None, guard) else None
        if entry.guard is None or new != entry.new_guard:
            entry.guard, entry.new_guard = entry.guard or guard, new
            self._book.dirty = True

    def _missing(self, kind: KindSpec, gone: Sequence[Resource], new: Sequence[Resource]) -> bool:
        changed = False
        for resource in gone:
            if resource.present or resource.trouble != NOT_PRESENT:
                changed = True
                self._gone[resource] = f"not present: no {kind.name} of this name is listed"
                if new:
                    names = ", ".join(repr(other.name) for other in new[:FEW]) + (" ..." if len(new) > FEW else "")
                    hint = f"new is {names}; if it is that one, `addresses rename` keeps this address"
                    self._gone[resource] = f"unassigned: no {kind.name} of this name or id is listed; {hint}"
                log.warning("resource.missing", resource=resource.label)
            resource.present, resource.trouble = False, NOT_PRESENT
            self.blank(resource, BAD, self._gone.get(resource, NOT_PRESENT))
            self.children_gone(list(resource.children.values()))
            for child in resource.children.values():
                self.blank(child, BAD, f"not present: its {kind.name} is not listed")
        return changed

    # -- what is worth a word ------------------------------------------------------------------------------------

    def _named(self, key: tuple[str, str], answer: Sequence[Listed]) -> Sequence[Listed]:
        """Items without a name under `#<id>`, so that an integrator sees them; said once when that changes (I08)."""
        ids = [item.id for item in answer if not item.name.strip()]
        if ids != self._nameless.get(key, []):
            names = ", ".join(map(nameless, ids)) or "none any more"
            log.warning(
                "list.nameless", source=key[0], kind=key[1], served_as=names, reason="the product gives no name"
            )
            self._nameless[key] = ids
        return (
            [replace(item, name=nameless(item.id)) if not item.name.strip() else item for item in answer]
            if ids
            else answer
        )

    def _note_lookalikes(self, key: tuple[str, str], names: Sequence[str]) -> None:
        """Different all the same, and probably a typing error of somebody (I09): said once."""
        found = lookalikes(names)
        known = self.lookalikes.get(key, [])
        for group in found:
            if group not in known:
                log.warning("names.alike", source=key[0], kind=key[1], names=", ".join(map(repr, group)))
        if found or known:
            self.lookalikes[key] = found


def _tell(source: str, kind: str, news: _News) -> None:
    """One line each for a few, one line together for many."""
    if len(news.new) > FEW:
        blocks = [resource.block for resource in news.new if resource.block is not None]
        span = f"{min(blocks)}..{max(blocks)}" if blocks else "none"
        log.info("resources.new", source=source, kind=kind, count=len(news.new), blocks=span)
    else:
        for resource in news.new:
            log.info("resource.new", resource=resource.label, id=resource.id, block=resource.block)
    if len(news.rebound) > FEW or (len(news.rebound) > 1 and not news.others):
        log.info(
            "resources.rebound", source=source, kind=kind, count=len(news.rebound), reason="found by name under new ids"
        )
    else:
        for resource, old in news.rebound:
            log.info("resource.replaced", resource=resource.label, old_id=old, id=resource.id)


__all__ = ["Inventory", "Resource", "measured"]
