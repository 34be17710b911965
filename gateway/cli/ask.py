"""What most commands share: the parameters that name a site, and a question to its running gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.app.load import Site, daemon_path, state_dir_of
from gateway.config import load_config
from gateway.core.errors import ConfigError
from gateway.web import ANSWER_S, ControlError, ask_daemon

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's config.yaml.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
AcceptMoves = Annotated[
    bool, Parameter(name="--accept-moves", negative="", help="Let published addresses move: publish today's map.")
]
DEFAULT = Path("config.yaml")
RELOAD_S = 60.0
"""A product may take its time over a logout, and a login that is under way is seen through."""


def ask(site: Site, method: str, what: str, body: dict[str, Any] | None = None, within_s: float = ANSWER_S) -> Any:
    """The running gateway's answer over its control socket.

    Raises:
        ControlError: it does not run, or refuses.
    """
    return asyncio.run(ask_daemon(site.daemon_path, method, what, body, within_s))


def ask_reload(config: Path, *, accept_moves: bool) -> Any:
    """The running gateway's answer to a reload, also of a file that is broken by now: it says so itself.

    Raises:
        ControlError: it does not run, or refuses.
        ConfigError: it does not run, and the file is broken.
    """
    loaded, faults = load_config(config)
    state_dir = state_dir_of(config) if loaded is None else loaded.path(loaded.config.state_dir)
    if state_dir is None:
        raise ConfigError(faults)
    work = ask_daemon(daemon_path(state_dir), "POST", "/reload", {"accept_moves": accept_moves}, RELOAD_S)
    try:
        return asyncio.run(work)
    except ControlError as error:
        if error.reached or loaded is not None:
            raise
        raise ConfigError(faults) from error
