"""`evce-gateway wipe`."""

from __future__ import annotations

import asyncio
import getpass
import sys
from typing import Annotated

from cyclopts import Parameter

from gateway.app.load import load_site
from gateway.app.wipe import wipe as wipe_site
from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile
from gateway.cli.codes import DONE, FAULTS, REFUSED
from gateway.store import StateInUse

Flag = Annotated[bool, Parameter(negative="")]


def wipe(
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    yes: Flag = False,
    config: ConfigFile = DEFAULT,
) -> int:
    """Remove sessions, keys and slots from the state, before a machine is given away; the gateway must not run.

    Addresses, evidence, history and users stay: a BMS knows the one, somebody may have to prove the other. Limits
    that are in force stay in force at the products: release them first.

    Args:
        all_: everything in the state directory, addresses and evidence too.
        yes: do not ask.
    """
    site = load_site(config)
    what = "everything, addresses and evidence too," if all_ else "sessions, keys and slots"
    if not yes:
        if not sys.stdin.isatty():
            show.err.print(show.clean(f"this removes {what} from {site.state_dir}: say --yes"))
            return REFUSED
        show.err.print(show.clean(f"This removes {what} from {site.state_dir}. Type yes to go on:"), end=" ")
        if input().strip() != "yes":
            show.err.print("nothing was removed")
            return REFUSED
    try:
        removed = asyncio.run(wipe_site(site, getpass.getuser(), everything=all_))
    except StateInUse as error:
        show.err.print(show.clean(f"{error}: stop it first; nothing was removed"))
        return REFUSED
    except OSError as error:
        show.err.print(show.clean(f"not everything was removed: {error}"))
        return FAULTS
    for text in removed:
        show.out.print(show.clean(f"removed: {text}"))
    if not removed:
        show.out.print(show.clean(f"there was nothing to remove in {site.state_dir}"))
    return DONE
