"""What most commands share: the parameters that name a site, and a question to its running gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.app.load import Site
from gateway.web import ANSWER_S, ask_daemon

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's config.yaml.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
AcceptMoves = Annotated[
    bool, Parameter(name="--accept-moves", negative="", help="Let published addresses move: publish today's map.")
]
DEFAULT = Path("config.yaml")


def ask(site: Site, method: str, what: str, body: dict[str, Any] | None = None, within_s: float = ANSWER_S) -> Any:
    """The running gateway's answer over its control socket.

    Raises:
        ControlError: it does not run, or refuses.
    """
    return asyncio.run(ask_daemon(site.daemon_path, method, what, body, within_s))
