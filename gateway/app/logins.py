"""The logins of a running gateway: their sessions and passwords, and what a person may do with them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import structlog

from gateway.app.connect import Session, new_session
from gateway.app.load import Site
from gateway.app.passwd import Change, Outcome, change, missing_parts, settle
from gateway.app.passwords import Password
from gateway.app.reload import Reloaded, contents, reload
from gateway.config import SourceConfig
from gateway.core.point import PasswdSpec
from gateway.engine.poller import Poller
from gateway.engine.ports import Clock
from gateway.sources import EvceSession, TokenStore

log = structlog.get_logger("gateway")


class Logins:
    """One session and one password for each source; `pollers` are those that use them."""

    def __init__(self, site: Site, pollers: Mapping[str, Poller], clock: Clock) -> None:
        self._site, self._pollers, self._clock = site, pollers, clock
        self._contents = contents(site.loaded)
        self._passwords: dict[str, Password] = {}
        self._sessions: dict[str, Session] = {}

    async def add(self, config: SourceConfig, tokens: TokenStore, stack: contextlib.AsyncExitStack) -> Session:
        """A session of one source that is not open yet; its connections end with `stack`.

        Raises:
            ConfigError: its password cannot be read.
            OSError: the certificate file cannot be used.
        """
        if config.tls is not None and config.tls.insecure:
            log.warning("tls.insecure", source=config.name, reason="any certificate is accepted")
        password = self._passwords[config.name] = Password(config, self._site.loaded)
        base = self._site.products[config.name].base
        session = await new_session(
            self._site.loaded, config, base, password, tokens, self._clock, stack, mend=password.mend
        )
        self._sessions[config.name] = session
        return session

    def reload(self, user: str) -> Reloaded:
        """Reads passwords again and lets refused logins try at once; the rest of the files needs a restart."""
        return reload(self._contents, self._passwords, self._pollers, user, self._clock)

    async def passwd(self, source: str, new: str, user: str, *, unfinished: bool) -> Outcome:
        """Changes a source's password in its running session, or settles an unfinished change to `new`.

        Raises:
            ValueError: this source has no such call, or the password breaks the product's rule.
        """
        session, spec = self._sessions.get(source), passwd_of(self._site, source)
        if not isinstance(session, EvceSession):
            raise ValueError(f"{source}: has no login that could change its password")
        missing = [] if unfinished else missing_parts(new)
        if missing:
            raise ValueError(f"the new password lacks {', '.join(missing)}")
        password = self._passwords[source]
        if unfinished:
            outcome = await settle(session, password, new)
        else:
            outcome = await change(session, password, spec, new, self._clock.wall())
        if outcome.change in (Change.CHANGED, Change.UNCHANGED):
            self._pollers[source].retry()
        log.info("passwd", source=source, user=user, outcome=str(outcome.change), reason=outcome.text)
        return outcome


def passwd_of(site: Site, source: str) -> PasswdSpec:
    """How a source's user changes the own password.

    Raises:
        ValueError: there is no such source, or no such call, in words.
    """
    config = next((one for one in site.config.sources if one.name == source), None)
    if config is None:
        raise ValueError(f"there is no source {source!r}; there is: {', '.join(site.products)}")
    if config.kind == "bender":
        text = "the API of a Bender controller has no call that changes a password"
        raise ValueError(f"{source}: {text}; change it in its web page, then here, then `evce-gateway reload`")
    spec = site.products[source].passwd
    if spec is None:
        text = f"{config.mapping} has no `passwd`"
        raise ValueError(f'{source}: {text}; say passwd: {{post: "/login/passwd", body: ...}} with {{old}} and {{new}}')
    return spec
