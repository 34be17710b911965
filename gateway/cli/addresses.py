"""`evce-gateway addresses ...`: which block belongs to which name, and what an operator may correct."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from gateway.addressing import AddressBook, Entry
from gateway.addressing.corrections import remedy
from gateway.app.addresses import Correction, Verb, correct_file, split_label
from gateway.app.load import Site, load_site
from gateway.app.published import publish_file
from gateway.cli import show
from gateway.cli.ask import DEFAULT, AcceptMoves, ConfigFile, Json, ask
from gateway.cli.codes import DONE, FAULTS, REFUSED, USAGE
from gateway.core.errors import CorrectionRefused
from gateway.core.point import SOURCE_KIND
from gateway.store import StateInUse, Store
from gateway.web import ControlError

addresses = App(name="addresses", help="The address book: which block belongs to which name.")
Label = Annotated[str, Parameter(allow_leading_hyphen=False)]
Text = Annotated[str, Parameter(allow_leading_hyphen=True)]


@addresses.command(name="list")
def list_(*, config: ConfigFile = DEFAULT, json_: Json = False) -> int:
    """Show which block every name has."""
    site = load_site(config)
    entries = Store(site.state_dir).load_addresses().entries
    book = AddressBook(entries, {})
    if json_:
        show.show_json([_row(entry) for entry in entries])
        return DONE
    modbus = site.config.modbus
    units = modbus is not None and modbus.units == "per_resource"
    first = site.config.bacnet.first_instance if site.config.bacnet is not None else None
    for entry in entries:
        unit = f"  unit {entry.unit}" if units and entry.unit is not None else ""
        if first is not None and entry.device is not None:
            unit += f"  device {first + entry.device}"
        text = f"{entry.block:5}  {_prefix(site, entry)}  (id {entry.id or '-'}){unit}{_note(entry, book)}"
        show.out.print(show.clean(text))
    if not entries:
        show.out.print("no block was given yet")
    return DONE


def _prefix(site: Site, entry: Entry) -> str:
    """What the names of its points begin with: those of a single resource do not repeat its source's name."""
    product = site.products.get(entry.source)
    kind = product.kinds.get(entry.kind) if product is not None else None
    single = entry.kind == SOURCE_KIND or (kind is not None and kind.is_single)
    return f"{entry.source}/{entry.kind}" if single else entry.label


def _row(entry: Entry) -> Mapping[str, Any]:
    """The five members every row has, and those that say something special."""
    row: dict[str, Any] = {
        "source": entry.source,
        "kind": entry.kind,
        "name": entry.name,
        "id": entry.id,
        "block": entry.block,
    }
    more: dict[str, Any] = {"new_name": entry.new_name, "new_guard": entry.new_guard, "retired": entry.retired}
    more |= {"forgotten": entry.forgotten, "unit": entry.unit, "unit_block": entry.unit_block}
    row |= {key: value for key, value in more.items() if value}
    return row if entry.device is None else row | {"device": entry.device, "device_block": entry.device_block}


def _note(entry: Entry, book: AddressBook) -> str:
    if entry.retired or entry.forgotten:
        return "  retired" if entry.retired else "  forgotten"
    if entry.new_name is not None and entry.new_name != entry.name:
        return f"  waits: the product calls it {entry.new_name!r} now; {remedy(entry, book)}"
    return f"  waits: {remedy(entry, book)}" if entry.waits else ""


@addresses.command
def confirm(*names: Label, config: ConfigFile = DEFAULT) -> int:
    """Say that what the product says now is right: swapped names and changed types are no longer inhibited.

    Blocks keep following ids, so points get the names that the product gives them now.

    Args:
        names: SOURCE/KIND/NAME of what waits; without any, all that waits.
    """
    return _correct(config, "confirm", names)


@addresses.command
def pin(name: Label, ident: Text, *, config: ConfigFile = DEFAULT) -> int:
    """Say that a name is right: its block belongs to the id that has this name now.

    It mends swapped names the other way round: blocks follow names. Pin each of them.

    Args:
        name: SOURCE/KIND/NAME as the gateway shows it.
        ident: id of it in the product.
    """
    return _correct(config, "pin", (name,), ident)


@addresses.command
def rename(name: Label, new: Text, *, config: ConfigFile = DEFAULT) -> int:
    """Let the block of a resource that is no longer listed continue under another name.

    If the new name got a block of its own meanwhile, that one is retired.

    Args:
        name: SOURCE/KIND/NAME that is not present any more.
        new: its name now, as the product lists it.
    """
    return _correct(config, "rename", (name,), new)


@addresses.command
def forget(name: Label, *, config: ConfigFile = DEFAULT) -> int:
    """Say that a resource is gone for good: no alarm any more, and not served after the next start.

    Its block stays its own, should the name ever be listed again.

    Args:
        name: SOURCE/KIND/NAME that is not present any more.
    """
    return _correct(config, "forget", (name,))


@addresses.command
def publish(*, accept_moves: AcceptMoves = False, config: ConfigFile = DEFAULT) -> int:
    """Freeze the map: from now on its addresses keep their meaning.

    Do this when the map was handed over. New points may still be added. A configuration or mapping that would move,
    remove or retype a published point is refused at `check`, `run` and `reload`. Publishing again adds what is new.
    Exit code 4: today's map does not keep what was published.
    """
    site = load_site(config)
    user = getpass.getuser()
    return _carry_out(
        site,
        lambda: ask(site, "POST", "/publish", {"accept_moves": accept_moves})["said"],
        lambda: publish_file(site, user=user, accept_moves=accept_moves),
    )


def _correct(config: Path, verb: Verb, names: tuple[str, ...], to: str = "") -> int:
    """Through the running gateway, else on its file."""
    site = load_site(config)
    try:
        for name in names:
            split_label(name)
    except ValueError as error:
        show.err.print(show.clean(error))
        return USAGE
    body = {"verb": verb, "names": list(names), "to": to}
    return _carry_out(
        site,
        lambda: ask(site, "POST", "/addresses", body)["said"],
        lambda: correct_file(site, Correction(verb, names, to)),
    )


def _carry_out(site: Site, running: Callable[[], list[str]], offline: Callable[[], list[str]]) -> int:
    """Lets the running gateway do it, else does it on its files, and says what was done."""
    try:
        try:
            said = running()
        except ControlError as error:
            if error.reached:
                raise
            said = offline()
    except ValueError as error:
        show.err.print(show.clean(error))
        return USAGE
    except StateInUse:
        text = f"a gateway runs on {site.state_dir}, and none answers at {site.daemon_path}"
        show.err.print(show.clean(f"{text}: set RUNTIME_DIRECTORY as its service has it, or stop it"))
        return REFUSED
    except CorrectionRefused as error:
        show.err.print(show.clean(error))
        return REFUSED
    except OSError as error:
        show.err.print(show.clean(f"the addresses cannot be written: {error.strerror}"))
        return FAULTS
    for line in said:
        show.out.print(show.clean(line))
    return DONE
