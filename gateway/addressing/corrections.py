"""What an operator may correct in the address book: confirm, pin, rename, forget (DESIGN 6.5, C14).

Rules of this file: no block ever moves to another name by itself or is given away; every correction is refused in
words before anything is changed; what lives inside a resource follows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from shlex import quote

from gateway.addressing.book import AddressBook, Entry
from gateway.core.errors import CorrectionRefused

Inner = Mapping[str, Sequence[str]]
"""Which kinds live inside which."""


def waiting(book: AddressBook) -> list[Entry]:
    """Everything that is inhibited until somebody confirms it."""
    return [entry for entry in book.entries if entry.waits and not entry.retired]


def remedy(entry: Entry, book: AddressBook) -> str:
    """What to say of an entry that waits, and when, with the command that says it."""
    if entry.new_name is None or entry.name.startswith("#"):
        return "confirm with `addresses confirm`"
    others = (e for e in book.of(entry.source, entry.kind) if e is not entry and e.new_name == entry.name)
    named = next((other.id for other in others if other.id is not None), None)
    if entry.new_name == entry.name:
        pinned = f"addresses pin {quote(entry.label)} {quote(entry.id or named or 'ID')}"
        return f"`{pinned}` (or `addresses confirm`) if the name is right, else mend it in the product"
    pinned = f"addresses pin {quote(entry.label)} {quote(named or 'ID')}"
    return f"`addresses confirm` if the {entry.kind}s were renamed there, `{pinned}` if the names are right"


def confirm(book: AddressBook, chosen: Sequence[Entry], inner: Inner) -> tuple[list[Entry], list[Entry]]:
    """What the product says now is right: names follow ids, guards are taken over.

    All names that changed hands together are confirmed together. Returns the confirmed entries, and those retired
    because their id is gone and their name is taken.

    Raises:
        CorrectionRefused: two of them would have one name; nothing was changed.
    """
    confirmed: list[Entry] = []
    retired: list[Entry] = []
    groups = [list(group) for _, group in groupby(_entangled(book, chosen), key=lambda e: (e.source, e.kind))]
    for group in groups:
        wanted = [entry.new_name for entry in group if entry.new_name is not None]
        for entry in group:
            if wanted.count(entry.new_name or "") > 1:
                text = f"two resources would be named {entry.new_name!r} ({entry.label}): rename one in the product"
                raise CorrectionRefused(text)
    for group in groups:
        waiting_names = ((entry.name, entry.new_name) for entry in group)
        names = {old: new for old, new in waiting_names if new is not None and new != old}
        retired += book.relabel(group[0].source, group[0].kind, names, inner)
        left = [entry for entry in group if not entry.retired]
        for entry in left:
            entry.guard = entry.new_guard or entry.guard
            entry.new_name = entry.new_guard = None
        confirmed += left
    book.dirty = book.dirty or bool(confirmed)
    return confirmed, retired


def _entangled(book: AddressBook, chosen: Sequence[Entry]) -> list[Entry]:
    """The chosen entries and all that wait with them for each other's names, kind by kind."""
    found = {id(entry): entry for entry in chosen}
    queue = list(chosen)
    while queue:
        entry = queue.pop()
        same = [e for e in book.of(entry.source, entry.kind) if e.new_name is not None and id(e) not in found]
        for other in same:
            if other.name == entry.new_name or other.new_name == entry.name:
                found[id(other)] = other
                queue.append(other)
    return sorted(found.values(), key=lambda entry: (entry.source, entry.kind, entry.block))


def pin(book: AddressBook, entry: Entry, ident: str) -> None:
    """The name is right: its block belongs to the product's id from now on.

    Whoever held that id is left with its name alone, and waits until it is pinned or confirmed itself.
    """
    for holder in book.of(entry.source, entry.kind):
        if holder is not entry and holder.id == ident:
            holder.id, holder.new_name = None, holder.name
    entry.id, entry.new_name = ident, None
    book.revive(entry)
    book.dirty = True


def rename(book: AddressBook, entry: Entry, name: str, inner: Inner) -> list[Entry]:
    """The block of an entry continues under another name; returns the blocks that name had, retired.

    Raises:
        CorrectionRefused: it has that name.
    """
    if name == entry.name:
        raise CorrectionRefused(f"{entry.label} has that name already")
    other = book.find(entry.source, entry.kind, name)
    ident = other.id if other is not None else None
    retired = book.relabel(entry.source, entry.kind, {entry.name: name}, inner)
    entry.id, entry.new_name = ident, None
    book.revive(entry)
    return retired


def forget(book: AddressBook, entry: Entry, inner: Inner) -> list[Entry]:
    """A resource is gone for good: it is no longer served, and keeps its block in case its name comes back."""
    forgotten = [entry, *book.inside(entry, inner)]
    for one in forgotten:
        one.forgotten = True
        one.id = one.new_name = one.new_guard = None
    book.dirty = True
    return forgotten


__all__ = ["Inner", "confirm", "forget", "pin", "remedy", "rename", "waiting"]
