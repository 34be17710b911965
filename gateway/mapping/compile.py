"""A checked mapping file to the frozen kinds of gateway.core.point; every fault is collected with its key path."""

from __future__ import annotations

from gateway.config.strict_yaml import KeyPath
from gateway.core.point import KindSpec, ListSpec, MembersSpec, PasswdSpec, ReadSpec, Region, WithinSpec
from gateway.mapping import models
from gateway.mapping.actions import compile_actions
from gateway.mapping.findings import Findings, Nearest, placeholders
from gateway.mapping.points import PointCompiler

BUILT_IN = ("source", "header")
BACNET_ONLY_CAPACITY = 1000
OLD_AND_NEW = ("old", "new")


def compile_kinds(file: models.MappingFile, near: Nearest, found: Findings) -> dict[str, KindSpec]:
    """Every resource of a file."""
    _check_nesting(file, found)
    return {name: _KindCompiler(name, model, file, near, found).compile() for name, model in file.resources.items()}


def compile_passwd(file: models.MappingFile, found: Findings) -> PasswdSpec | None:
    """How a password is changed; its body must hold both, for a password that is not sent is not changed."""
    model = file.passwd
    if model is None:
        return None
    found.url(("passwd", "post"), model.post, ())
    found.body(("passwd", "body"), model.body, OLD_AND_NEW, ())
    for missing in sorted(set(OLD_AND_NEW) - placeholders(model.body)):
        found.fault(("passwd", "body"), f"holds no {{{missing}}}")
    return PasswdSpec(model.post, model.body)


def _check_nesting(file: models.MappingFile, found: Findings) -> None:
    """`within` must lead to a resource that stands alone; a broken link is cut so that nothing runs in circles."""
    for name, model in file.resources.items():
        at: KeyPath = ("resources", name, "within")
        seen = {name}
        outer = model.within
        while outer is not None and outer in file.resources and outer not in seen:
            seen.add(outer)
            outer = file.resources[outer].within
        if outer is None:
            continue
        if outer not in file.resources:
            if outer == model.within:
                found.fault(at, f"there is no resource {outer!r}; there is: {', '.join(file.resources)}")
        else:
            found.fault(at, "a kind cannot be inside itself")


def outermost(file: models.MappingFile, name: str) -> models.ResourceModel | None:
    """The resource whose read feeds a kind, itself unless it lives inside another; None when the links are broken."""
    seen = set[str]()
    while name in file.resources and name not in seen:
        seen.add(name)
        within = file.resources[name].within
        if within is None:
            return file.resources[name]
        name = within
    return None


class _KindCompiler:
    """One resource of the file to its KindSpec."""

    def __init__(
        self, name: str, model: models.ResourceModel, file: models.MappingFile, near: Nearest, found: Findings
    ) -> None:
        self.name, self.model, self.file, self.found = name, model, file, found
        self.near = near.under(model)
        self.at: KeyPath = ("resources", name)

    def compile(self) -> KindSpec:
        model, at = self.model, self.at
        if self.name in BUILT_IN:
            self.found.fault(at, f"the resource `{self.name}` is built in; choose another name")
        points = PointCompiler(self.name, model, self.file, self.near, self.found, outermost(self.file, self.name))
        self._check_cards()
        modbus, bacnet = model.modbus, model.bacnet
        capacity = modbus.capacity if modbus else BACNET_ONLY_CAPACITY
        return KindSpec(
            name=self.name,
            list=self._list(model.list, (*at, "list")) if model.list else None,
            within=self._within(),
            members=self._members(model.members, (*at, "members")) if model.members else None,
            reads={key: self._read(key, read) for key, read in model.reads.items()},
            points={key: points.compile(key, point) for key, point in model.points.items()},
            modbus=Region(modbus.first, modbus.stride, modbus.capacity, modbus.status) if modbus else None,
            bacnet=Region(bacnet.first, bacnet.stride, capacity) if bacnet else None,
            actions=compile_actions(self.name, model, self.near, self.found),
            actions_at=self._actions_at(),
        )

    def _check_cards(self) -> None:
        """A card shows one current, one power, ... of its resource."""
        shown: dict[str, str] = {}
        for key, point in self.model.points.items():
            if point.card is not None and shown.setdefault(point.card, key) != key:
                text = f"{shown[point.card]!r} is the card's {point.card} already"
                self.found.fault((*self.at, "points", key, "card"), text)

    def _actions_at(self) -> Region | None:
        own = self.model.modbus.actions if self.model.modbus else None
        if own is not None and not any(action.modbus for action in self.model.actions.values()):
            self.found.fault((*self.at, "modbus", "actions"), "no action of this resource has a `modbus` place")
        return Region(own.first, own.stride, own.capacity) if own is not None else None

    def _read(self, key: str, model: models.ReadModel) -> ReadSpec:
        at = (*self.at, "reads", key)
        self.found.url((*at, "get"), model.get, () if model.items else self.model.placeholders)
        match, by_key = self.found.keyed((*at, "match"), model.match) if model.match else (None, False)
        items = self.found.path((*at, "items"), model.items) if model.items else None
        return ReadSpec(key, model.get, model.every, items, match, by_key, frozenset(model.none_status))

    def _list(self, model: models.ListModel, at: KeyPath) -> ListSpec:
        self.found.url((*at, "get"), model.get, ())
        ident, by_key = self.found.keyed((*at, "id"), model.id)
        guard = self.found.path((*at, "guard"), model.guard) if model.guard else None
        name, items = self.found.path((*at, "name"), model.name), self.found.path((*at, "items"), model.items)
        return ListSpec(model.get, items, ident, by_key, name, guard, model.every)

    def _members(self, model: models.MembersModel, at: KeyPath) -> MembersSpec:
        self.found.url((*at, "get"), model.get, self.model.placeholders)
        if model.of not in self.file.resources:
            text = f"there is no resource {model.of!r}; there is: {', '.join(self.file.resources)}"
            self.found.fault((*at, "of"), text)
        ident, by_key = self.found.keyed((*at, "id"), model.id)
        items = self.found.path((*at, "items"), model.items)
        return MembersSpec(model.of, model.get, items, ident, by_key, model.every)

    def _within(self) -> WithinSpec | None:
        model, at = self.model, self.at
        if model.within is None or model.from_ is None or model.items is None or model.id is None:
            return None
        parent = self.file.resources.get(model.within)
        if parent is not None:
            known = sorted(parent.reads) if parent.within is None else [parent.from_ or ""]
            if model.from_ not in known:
                text = f"{model.within} has no read {model.from_!r}; it has: {', '.join(known) or 'none'}"
                self.found.fault((*at, "from"), text)
        ident, by_key = self.found.keyed((*at, "id"), model.id)
        return WithinSpec(model.within, model.from_, self.found.path((*at, "items"), model.items), ident, by_key)
