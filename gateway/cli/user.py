"""`evce-gateway user`: who may log in to the page.

Rules of this file: a password is never an argument; a running gateway takes every change over at once, and without
one the next start does.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from cyclopts import App
from rich.table import Table

from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile, Json
from gateway.cli.codes import DONE, FAULTS, REFUSED, USAGE
from gateway.config import load_config
from gateway.core.errors import ConfigError
from gateway.core.role import Role
from gateway.store.users import NAME, UserBook, UserRefused, missing_of

user = App(name="user", help="Say who may log in to the page; no login exists until somebody is added.")


@user.command
def add(
    name: str,
    *,
    role: Literal["viewer", "operator", "admin"],
    password_file: Path | None = None,
    config: ConfigFile = DEFAULT,
) -> int:
    """Add a user of the page.

    The password is asked for twice, or read from --password-file, or from standard input when that is no terminal.
    A running gateway lets the user log in at once.

    Args:
        name: the new user's name.
        role: viewer reads; operator also writes, releases, fires actions and forces points; admin also writes any slot.
        password_file: a file holding only the password.
    """
    book = _book(config)
    if not NAME.fullmatch(name):
        show.err.print(
            show.clean("a name begins with a letter or digit and holds only letters, digits, _ . @ - (at most 40)")
        )
        return USAGE
    if name in book.all():
        return _say(f"there is a user {name!r} already; `user passwd {name}` changes the password", REFUSED)
    password = _new_password(name, password_file)
    if password is None:
        return USAGE
    if code := _carried_out(lambda: book.add(name, Role[role.upper()], password)):
        return code
    show.out.print(show.clean(f"{name} may log in now, as {role}"))
    return DONE


@user.command(name="list")
def list_(*, config: ConfigFile = DEFAULT, json_: Json = False) -> int:
    """List the users of the page."""
    users = sorted(_book(config).all().values(), key=lambda one: one.name)
    if json_:
        show.show_json([{"name": one.name, "role": str(one.role)} for one in users])
        return DONE
    if not users:
        show.out.print("nobody may log in yet: evce-gateway user add NAME --role admin")
        return DONE
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name")
    table.add_column("role")
    for one in users:
        table.add_row(show.clean(one.name), str(one.role))
    show.out.print(table)
    return DONE


@user.command
def remove(name: str, *, config: ConfigFile = DEFAULT) -> int:
    """Remove a user; every session of that user ends at once.

    Args:
        name: the user's name.
    """
    book = _book(config)
    if code := _carried_out(lambda: book.remove(name)):
        return code
    show.out.print(show.clean(f"{name} is removed, and logged out everywhere"))
    return DONE


@user.command
def passwd(name: str, *, password_file: Path | None = None, config: ConfigFile = DEFAULT) -> int:
    """Give a user another password; every session of that user ends at once.

    Args:
        name: the user's name.
        password_file: a file holding only the new password.
    """
    book = _book(config)
    if name not in book.all():
        return _say(f"there is no user {name!r}", REFUSED)
    password = _new_password(name, password_file)
    if password is None:
        return USAGE
    if code := _carried_out(lambda: book.set_password(name, password)):
        return code
    show.out.print(show.clean(f"{name} has another password now, and is logged out everywhere"))
    return DONE


def _book(config: Path) -> UserBook:
    """The users of a site; its mappings may be broken."""
    loaded, faults = load_config(config)
    if loaded is None:
        raise ConfigError(faults)
    return UserBook(loaded.path(loaded.config.state_dir))


def _new_password(name: str, file: Path | None) -> str | None:
    """The password, None when there is none that will do; what is wrong was printed then."""
    try:
        if file is not None:
            password = file.read_text(encoding="utf-8").rstrip("\r\n")
        elif not sys.stdin.isatty():
            password = sys.stdin.readline().rstrip("\r\n")
        else:
            password = getpass.getpass(f"Password of {name}: ")
            if getpass.getpass("The same again: ") != password:
                _say("the two are not the same", USAGE)
                return None
    except (OSError, UnicodeDecodeError) as error:
        _say(f"the password cannot be read: {error}", USAGE)
        return None
    if missing := missing_of(name, password):
        _say(f"nothing was changed: the password needs {', '.join(missing)}", USAGE)
        return None
    return password


def _carried_out(change: Callable[[], None]) -> int:
    """The exit code of what went wrong, 0 when nothing did."""
    try:
        change()
    except UserRefused as error:
        return _say(str(error), REFUSED)
    except OSError as error:
        return _say(f"nothing was changed: the state directory cannot be written: {error.strerror}", FAULTS)
    return DONE


def _say(text: str, code: int) -> int:
    show.err.print(show.clean(text))
    return code
