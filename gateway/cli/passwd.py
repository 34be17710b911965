"""`evce-gateway passwd SOURCE`: another password at the product, and in the file it came from.

Rules of this file: a password is never an argument; it stands in FILE.new before anything is sent, so that a crash
leaves both on the disk; while the gateway runs, its own session is used, for a second login would end it.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import sys
from pathlib import Path

from gateway.app.clock import SystemClock
from gateway.app.connect import BorrowedTokens, new_session
from gateway.app.load import Site, load_site
from gateway.app.logins import passwd_of
from gateway.app.passwd import Change, Outcome, change, missing_parts, settle
from gateway.app.passwords import Password
from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile, ask
from gateway.cli.codes import DONE, FAULTS, NOT_REACHED, REFUSED, USAGE
from gateway.config import SourceConfig
from gateway.core.errors import ConfigError
from gateway.sources import EvceSession
from gateway.store import Store
from gateway.store.secret_file import SecretFile
from gateway.web import ControlError

WITHIN_S = 60.0
"""A change that nobody answers is settled by two logins, each with its own time limit."""
CODES = {
    Change.CHANGED: DONE,
    Change.UNCHANGED: REFUSED,
    Change.NOT_REACHED: NOT_REACHED,
    Change.UNKNOWN: NOT_REACHED,
}


def passwd(source: str, *, new_file: Path | None = None, config: ConfigFile = DEFAULT) -> int:
    """Change the password of a source at its product, and in the file it is read from.

    The new password is asked for twice, or read from --new-file, or from standard input when that is no terminal.
    An unfinished change (FILE.new exists) is settled first: two logins tell which password the product has.

    Args:
        source: name of an EVCE source in config.yaml.
        new_file: a file holding only the new password.
    """
    site = load_site(config)
    try:
        passwd_of(site, source)
    except ValueError as error:
        return _say(str(error), REFUSED if source in site.products else USAGE)
    chosen = next(one for one in site.config.sources if one.name == source)
    name = chosen.password.file
    secret = None if name is None else SecretFile(site.loaded.path(name))
    try:
        if secret is not None and secret.has_pending:
            return _settle(site, chosen, secret)
        new = _new_password(source, new_file)
        if missing := missing_parts(new):
            return _say(f"nothing was sent: the new password lacks {', '.join(missing)}", FAULTS)
        if secret is not None:
            secret.prepare(new)
    except (OSError, UnicodeDecodeError, _Mismatch) as error:
        return _say(f"nothing was sent: {error}", USAGE)
    return _change(site, chosen, secret, new)


class _Mismatch(Exception):
    """The new password was not typed the same way twice."""


def _new_password(source: str, file: Path | None) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(f"New password of {source}: ")
    if getpass.getpass("The same again: ") != first:
        raise _Mismatch("the two are not the same")
    return first


def _change(site: Site, chosen: SourceConfig, secret: SecretFile | None, new: str) -> int:
    try:
        outcome = _carry_out(site, chosen, new, unfinished=False)
    except (ConfigError, ControlError):
        if secret is not None:
            secret.discard()
        raise
    reason = f": {outcome.text}" if outcome.text else ""
    match outcome.change:
        case Change.CHANGED:
            _keep(chosen, secret)
        case Change.UNKNOWN:
            _say(f"{chosen.name}: nobody knows whether the product took the new password{reason}", NOT_REACHED)
            if secret is not None:
                again = f"`evce-gateway passwd {chosen.name}` finds out which one is right"
                _say(f"{secret.pending} holds the new one, {secret.path} the old one; {again}", NOT_REACHED)
        case _:
            if secret is not None:
                secret.discard()
            _say(f"{chosen.name}: the password was not changed{reason}", REFUSED)
    return CODES[outcome.change]


def _settle(site: Site, chosen: SourceConfig, secret: SecretFile) -> int:
    """Which of FILE and FILE.new is right; nothing new is asked for."""
    show.out.print(f"{show.clean(secret.pending)} is left of a change that was not finished; asking the product")
    outcome = _carry_out(site, chosen, secret.read_pending(), unfinished=True)
    match outcome.change:
        case Change.CHANGED:
            _keep(chosen, secret)
            return DONE
        case Change.UNCHANGED:
            secret.discard()
            return _say(f"{chosen.name}: that change had not been carried out; the old password is right", FAULTS)
        case _:
            return _say(f"{chosen.name}: still not known: {outcome.text}; nothing was changed here", NOT_REACHED)


def _keep(chosen: SourceConfig, secret: SecretFile | None) -> None:
    """Stores a password that the product has taken where the old one came from, or says how a person does it."""
    if secret is not None:
        secret.commit()
        show.out.print(f"{chosen.name}: changed; the new password is in {show.clean(secret.path)}")
        return
    show.out.print(f"{chosen.name}: changed at the product. NOT stored here: put it where the old one came from, now:")
    if chosen.password.env is not None:
        name = chosen.password.env
        show.out.print(f"  set the variable {show.clean(name)} where the gateway is started, then restart the gateway")
        return
    name = show.clean(chosen.password.credential)
    lines = (
        f"systemd-ask-password -n | systemd-creds encrypt --name={name} - /etc/credstore.encrypted/{name}",
        f"  with LoadCredentialEncrypted={name} in the service (or write the file its LoadCredential={name}: names)",
        "systemctl restart evce-gateway",
    )
    for line in lines:
        show.out.print(f"  {line}")


def _carry_out(site: Site, chosen: SourceConfig, new: str, *, unfinished: bool) -> Outcome:
    """In the running gateway's session, else in one of our own.

    Raises:
        ControlError: the gateway runs and refuses, or may not be asked.
        ConfigError: the old password cannot be read.
    """
    try:
        ask(site, "GET", "/status")
    except ControlError as error:
        if error.reached or _socket_is_there(site):
            raise
        return asyncio.run(_alone(site, chosen, new, unfinished=unfinished))
    body = {"source": chosen.name, "new": new, "unfinished": unfinished}
    try:
        answer = ask(site, "POST", "/passwd", body, WITHIN_S)
    except ControlError as error:
        if error.reached:
            raise
        return Outcome(Change.UNKNOWN, str(error))
    return Outcome(Change(answer["change"]), answer["text"])


def _socket_is_there(site: Site) -> bool:
    """Whether a gateway may be running that this user may not ask: then a login would end its session."""
    try:
        return site.daemon_path.exists()
    except PermissionError:
        return True


async def _alone(site: Site, chosen: SourceConfig, new: str, *, unfinished: bool) -> Outcome:
    """One login of our own, and its logout."""
    password = Password(chosen, site.loaded)
    base, spec = site.products[chosen.name].base, passwd_of(site, chosen.name)
    async with contextlib.AsyncExitStack() as stack:
        tokens = BorrowedTokens(Store(site.state_dir))
        try:
            session = await new_session(site.loaded, chosen, base, password, tokens, SystemClock(), stack)
        except OSError as error:
            return Outcome(Change.NOT_REACHED, f"tls: {error.strerror or error}")
        if not isinstance(session, EvceSession):
            raise TypeError(chosen.kind)
        try:
            if unfinished:
                return await settle(session, password, new)
            return await change(session, password, spec, new, SystemClock().wall())
        finally:
            await session.close()


def _say(text: str, code: int) -> int:
    show.err.print(show.clean(text))
    return code
