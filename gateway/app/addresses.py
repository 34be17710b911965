"""What `addresses confirm|pin|rename|forget` do, in the running gateway or, while it does not run, in its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.addressing import AddressBook, Entry
from gateway.addressing.corrections import Inner, confirm, forget, pin, rename, waiting
from gateway.app.load import Site
from gateway.core.errors import CorrectionRefused
from gateway.core.point import KindSpec
from gateway.engine.inventory import Inventory
from gateway.engine.ports import Listed
from gateway.store import Store

Verb = Literal["confirm", "pin", "rename", "forget"]
EVENTS: dict[Verb, str] = {
    "confirm": "addresses.confirmed",
    "pin": "addresses.pinned",
    "rename": "addresses.renamed",
    "forget": "addresses.forgotten",
}
MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Correction:
    """One thing the operator says: `names` are SOURCE/KIND/NAME, `to` an id (pin) or a name (rename)."""

    verb: Verb
    names: tuple[str, ...] = ()
    to: str = ""


def split_label(label: str) -> tuple[str, str, str]:
    """SOURCE/KIND/NAME in its parts, `%2F` in the name being a slash.

    Raises:
        ValueError: it is no such name, in words.
    """
    parts = label.split("/")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{label!r} is not SOURCE/KIND/NAME; a / inside the name is written %2F")
    _refuse_half(label)
    return parts[0], parts[1], parts[2].replace("%2F", "/").replace("%25", "%")


def _refuse_half(text: str) -> None:
    """What a terminal made of bytes that are no UTF-8 can stand in no file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is not UTF-8") from None


class Corrector:
    """Carries corrections out on a book; `inventory` is what the running gateway knows, None while it does not run.

    `touched` are the sources of which something was corrected.
    """

    def __init__(self, site: Site, book: AddressBook, inventory: Inventory | None = None) -> None:
        self._site, self._book, self._inventory = site, book, inventory
        self.touched: set[str] = set()

    def carry_out(self, correction: Correction) -> list[str]:
        """Does one thing and returns what was done in plain sentences.

        Raises:
            CorrectionRefused: and why; nothing was changed.
            ValueError: a name is not SOURCE/KIND/NAME.
        """
        if correction.verb == "confirm":
            return self._confirm(correction.names)
        entry = self._entry(correction.names[0])
        _refuse_half(correction.to)
        if correction.verb == "pin":
            return self._pin(entry, correction.to)
        if correction.verb == "rename":
            return self._rename(entry, correction.to)
        return self._forget(entry)

    # -- what is meant -------------------------------------------------------------------------------------------

    def _entry(self, label: str) -> Entry:
        source, kind, name = split_label(label)
        if source not in self._site.products:
            known = ", ".join(self._site.products)
            raise CorrectionRefused(f"there is no source {source!r}; there are: {known}")
        spec = self._site.products[source].kinds.get(kind)
        if spec is None or spec.is_single:
            kinds = ", ".join(k.name for k in self._site.products[source].kinds.values() if not k.is_single)
            raise CorrectionRefused(f"{source} has no list of {kind!r}; it has: {kinds or 'none'}")
        entry = self._book.find(source, kind, name)
        if entry is None:
            raise CorrectionRefused(f"{label} has no address; `addresses list` shows what has one")
        return entry

    def _kind(self, entry: Entry) -> KindSpec:
        return self._site.products[entry.source].kinds[entry.kind]

    def _inner(self, source: str) -> Inner:
        inner: dict[str, list[str]] = {}
        for kind in self._site.products[source].kinds.values() if source in self._site.products else ():
            if kind.within is not None:
                inner.setdefault(kind.within.parent, []).append(kind.name)
        return inner

    def _listed(self, entry: Entry) -> Sequence[Listed] | None:
        return self._inventory.last_listed(entry.source, entry.kind) if self._inventory is not None else None

    def _refuse_inner(self, entry: Entry) -> None:
        within = self._kind(entry).within
        if within is not None:
            raise CorrectionRefused(f"a {entry.kind} follows its {within.parent}: correct that one")

    def _twice(self, entry: Entry, name: str) -> bool:
        return [item.name for item in self._listed(entry) or ()].count(name) > 1

    # -- the four ------------------------------------------------------------------------------------------------

    def _confirm(self, labels: Sequence[str]) -> list[str]:
        chosen = [self._entry(label) for label in labels] if labels else waiting(self._book)
        said = [] if labels else [f"not confirmed: {text}" for text in self._duplicates()]
        for entry in chosen:
            if self._twice(entry, entry.name) or self._twice(entry, entry.new_name or entry.name):
                name = entry.new_name or entry.name
                text = f"two or more {entry.kind}s are named {name!r}: rename one in the product"
                raise CorrectionRefused(f"{entry.label} cannot be confirmed: {text}")
            if not entry.waits:
                raise CorrectionRefused(f"{entry.label} does not wait for a confirmation")
        if not chosen:
            return said or ["nothing waits for a confirmation"]
        before = {id(e): (e.label, e.guard, e.new_name, e.new_guard) for e in waiting(self._book)}
        labels_before = {id(e): e.label for e in self._book.entries}
        inner = {source: self._inner(source) for source in {entry.source for entry in chosen}}
        self.touched |= inner.keys()
        retired: list[Entry] = []
        done: list[Entry] = []
        for source, kinds in inner.items():
            confirmed, lost = confirm(self._book, [e for e in chosen if e.source == source], kinds)
            done += confirmed
            retired += lost
        for entry in done:
            label, guard, new_name, new_guard = before[id(entry)]
            if new_name is not None:
                was = f" (it was {label})" if entry.label != label else ""
                said.append(f"confirmed: block {entry.block} is {entry.label}, id {entry.id or 'not known yet'}{was}")
            if new_guard is not None:
                said.append(f"confirmed: {entry.label} is of type {new_guard!r} now (it was {guard!r})")
        said += [_retired(entry, labels_before[id(entry)]) for entry in retired]
        return said

    def _duplicates(self) -> list[str]:
        """What only the product can mend."""
        found: list[str] = []
        for source, product in self._site.products.items():
            for kind in product.kinds:
                listed = self._inventory.last_listed(source, kind) if self._inventory is not None else None
                names = Counter(item.name for item in listed or ())
                found += [f"two or more {kind}s of {source} are named {n!r}" for n, count in names.items() if count > 1]
        return found

    def _pin(self, entry: Entry, ident: str) -> list[str]:
        self._refuse_inner(entry)
        holder = next((e for e in self._book.of(entry.source, entry.kind) if e.id == ident), None)
        self._check_pin(entry, ident, holder)
        if holder is entry and entry.new_name is None:
            return [f"{entry.label} (block {entry.block}) belongs to id {ident} already"]
        pin(self._book, entry, ident)
        self.touched.add(entry.source)
        said = f"{entry.label} (block {entry.block}) belongs to id {ident} from now on"
        if holder is not None and holder is not entry:
            said += f"; {holder.label} had that id and waits until it is pinned or confirmed"
        return [said]

    def _check_pin(self, entry: Entry, ident: str, holder: Entry | None) -> None:
        """The product has to give that id this name: a pin says that the name is right, not that it should be."""
        listed = self._listed(entry)
        if listed is not None:
            names = [item.name for item in listed if item.id == ident]
            if not names:
                shown = ", ".join(f"{item.id} ({item.name})" for item in listed[:MOST_SHOWN])
                text = f"{entry.source} lists no {entry.kind} with id {ident!r}; it lists: {shown or 'none'}"
                raise CorrectionRefused(text + (" ..." if len(listed) > MOST_SHOWN else ""))
            if len(names) > 1 or self._twice(entry, entry.name):
                raise CorrectionRefused(
                    f"two or more {entry.kind}s are named {entry.name!r}: rename one in the product"
                )
            said = names[0]
        elif holder is None and entry.new_name == entry.name:
            said = entry.name  # its id went to another name by a pin: whatever id it is given now is its own
        elif holder is None:
            raise CorrectionRefused(f"no {entry.kind} with id {ident!r} is known; start the gateway, and pin then")
        else:
            said = holder.new_name or holder.name
        if said != entry.name:
            text = f"id {ident} is named {said!r}; `addresses confirm` makes the block follow its id"
            raise CorrectionRefused(f"{entry.label} cannot be pinned to it: {text}")

    def _rename(self, entry: Entry, name: str) -> list[str]:
        self._refuse_inner(entry)
        if not name:
            raise ValueError("the new name is empty")
        self._refuse_present(entry, "rename it there")
        other = self._book.find(entry.source, entry.kind, name)
        if other is not None and other.waits and other is not entry:
            raise CorrectionRefused(f"{other.label} waits for a confirmation: confirm or pin it first")
        old = entry.label
        self.touched.add(entry.source)
        retired = [(one, one.label) for one in rename(self._book, entry, name, self._inner(entry.source))]
        said = [f"{old} is {entry.label} now and keeps its block {entry.block}"]
        said += [_retired(one, label) for one, label in retired]
        if self._is_expected(entry.source, entry.kind, split_label(old)[2]):
            said.append(
                f"{old} still stands in `expect` of the configuration: write {name!r} there before the next start"
            )
        return said + self._unchecked()

    def _refuse_present(self, entry: Entry, instead: str) -> None:
        if self._inventory is None:
            return
        resource = self._inventory.resources.get((entry.source, entry.kind, entry.name))
        if resource is not None and resource.present:
            raise CorrectionRefused(f"{entry.label} is listed by the product right now: {instead}")
        if resource is not None and resource.trouble == "not read yet":
            raise CorrectionRefused(f"{entry.source} was not read yet: whether {entry.label} is gone is not known")

    def _forget(self, entry: Entry) -> list[str]:
        self._refuse_present(entry, "it is not gone")
        if self._is_expected(entry.source, entry.kind, entry.name):
            raise CorrectionRefused(f"{entry.label} stands in `expect` of the configuration: take it out there first")
        self.touched.add(entry.source)
        forgotten = forget(self._book, entry, self._inner(entry.source))
        more = f" and {len(forgotten) - 1} inside it" if len(forgotten) > 1 else ""
        text = f"no alarm any more, and not served after the next start; block {entry.block} stays its own"
        return [f"{entry.label}{more} is forgotten: {text}, should it come back", *self._unchecked()]

    def _is_expected(self, source: str, kind: str, name: str) -> bool:
        return any(name in s.expect.get(kind, ()) for s in self._site.config.sources if s.name == source)

    def _unchecked(self) -> list[str]:
        """Without a running gateway nobody knows what the product lists."""
        return (
            [] if self._inventory is not None else ["the gateway does not run: what the product lists was not checked"]
        )


def _retired(entry: Entry, label: str) -> str:
    return f"block {entry.block}, which {label} had, is retired: it is not served any more and nobody else gets it"


def correct_file(site: Site, correction: Correction) -> list[str]:
    """Carries a correction out on addresses.yaml while no gateway runs.

    Raises:
        CorrectionRefused: and why; nothing was changed.
        ConfigError: another gateway runs, or the file cannot be read.
        OSError: it cannot be written.
    """
    store = Store(site.state_dir)
    if not store.load_addresses().entries:
        raise CorrectionRefused(f"{site.state_dir} holds no addresses yet")
    store.open()
    try:
        saved = store.load_addresses()
        book = AddressBook(saved.entries, site.pools, saved.certificates)
        said = Corrector(site, book).carry_out(correction)
        store.save_addresses(book.entries, book.certificates)
    finally:
        store.close()
    return said
