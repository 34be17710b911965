"""`evce-gateway backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.app.backup import RestoreRefused, make_backup, restore_backup
from gateway.app.load import load_site
from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile
from gateway.cli.codes import DONE, FAULTS, REFUSED
from gateway.store import StateInUse
from gateway.store.backup import ArchiveFault

Force = Annotated[bool, Parameter(negative="")]


def backup(file: Path, *, force: Force = False, config: ConfigFile = DEFAULT) -> int:
    """Write configuration, mappings and state into one archive; the gateway may run.

    Passwords, sessions and private keys are not in it; what has to be put back by hand is said.

    Args:
        file: the archive, e.g. evce-2026-11-20.tar.gz.
        force: replace an archive that is there.
    """
    site = load_site(config)
    if file.exists() and not force:
        show.err.print(show.clean(f"{file}: exists already; name a new file, or say --force"))
        return REFUSED
    try:
        made = make_backup(site, config, file)
    except RestoreRefused as error:
        show.err.print(show.clean(error))
        return REFUSED
    except (ArchiveFault, OSError) as error:
        show.err.print(show.clean(f"no backup was made: {error}"))
        return FAULTS
    show.out.print(show.clean(f"{file}: {made.files} files"))
    for text in made.left_out:
        show.err.print(show.clean(f"warning: {text}"))
    for text in made.by_hand:
        show.out.print(show.clean(f"not in it, to be put back by hand: {text}"))
    return DONE


def restore(file: Path, *, force: Force = False, config: ConfigFile = DEFAULT) -> int:
    """Make a site what an archive says, while its gateway does not run.

    The archive is checked whole before anything is touched. Exit code 1: it is damaged, or `check` finds faults.

    Args:
        file: an archive of `backup`.
        force: replace what is there; the old is kept beside, as `*.before-restore-<time>`.
    """
    try:
        restored = restore_backup(file, config, force=force)
    except StateInUse as error:
        show.err.print(show.clean(f"{error}: stop it first; nothing was changed"))
        return REFUSED
    except RestoreRefused as error:
        show.err.print(show.clean(f"nothing was changed: {error}"))
        return REFUSED
    except ArchiveFault as error:
        show.err.print(show.clean(f"nothing was changed: {error}"))
        return FAULTS
    except OSError as error:
        show.err.print(show.clean(f"the restore failed: {error}"))
        return FAULTS
    for text in restored.said:
        show.out.print(show.clean(text))
    show.show_faults(restored.faults)
    return FAULTS if restored.faults else DONE
