"""The logins of a running gateway: their sessions and passwords, and what a person may do with them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from gateway.app.connect import Session, new_session
from gateway.app.load import Site
from gateway.app.passwd import Change, Outcome, change, missing_parts, settle
from gateway.app.passwords import Password
from gateway.config import SourceConfig
from gateway.core.circuit import SourceState
from gateway.core.point import PasswdSpec
from gateway.engine.health import Health
from gateway.engine.poller import Poller
from gateway.engine.ports import Clock
from gateway.sources import EvceSession, TokenStore

log = structlog.get_logger("gateway")


@dataclass(slots=True)
class Reread:
    """What came of reading passwords again, in sentences; `refused` is what could not be read."""

    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Login:
    """A source's password and the session that uses it."""

    password: Password
    session: Session


class Logins:
    """One session and one password for each source; `pollers` are those that use them, `site` what holds now."""

    def __init__(self, site: Site, pollers: Mapping[str, Poller], clock: Clock) -> None:
        self.site, self._pollers, self._clock = site, pollers, clock
        self._passwords: dict[str, Password] = {}
        self._sessions: dict[str, Session] = {}

    async def add(
        self, site: Site, config: SourceConfig, tokens: TokenStore, stack: contextlib.AsyncExitStack
    ) -> Session:
        """A session of one source that is not open yet; its connections end with `stack`.

        Raises:
            ConfigError: its password cannot be read.
            OSError: the certificate file cannot be used.
        """
        login = await self.prepare(site, config, tokens, stack)
        self.install(config.name, login)
        return login.session

    async def prepare(
        self, site: Site, config: SourceConfig, tokens: TokenStore, stack: contextlib.AsyncExitStack
    ) -> Login:
        """As `add`, for a login that is not used before `install`."""
        if config.tls is not None and config.tls.insecure:
            log.warning("tls.insecure", source=config.name, reason="any certificate is accepted")
        password = Password(config, site.loaded)
        base = site.products[config.name].base
        session = await new_session(site.loaded, config, base, password, tokens, self._clock, stack, mend=password.mend)
        return Login(password, session)

    def install(self, source: str, login: Login) -> None:
        """This is a source's login from now on."""
        self._passwords[source], self._sessions[source] = login.password, login.session

    def remove(self, source: str) -> Session:
        """The source has no login here any more; its session is still open."""
        self._passwords.pop(source, None)
        return self._sessions.pop(source)

    def forget_token(self, source: str) -> None:
        """The session before the one of now was logged out of: there is nothing left to be ended first."""
        session = self._sessions.get(source)
        if isinstance(session, EvceSession):
            session.forget_token()

    def follow(self, source: str, password: Password) -> None:
        """Another place for a source's password; its session goes on."""
        self._passwords[source].follow(password)

    @contextlib.asynccontextmanager
    async def between_logins(self, source: str) -> AsyncIterator[None]:
        """While this is held, no login, logout or renewal of a source is under way."""
        async with self._sessions[source].between_logins():
            yield

    def reread(self) -> Reread:
        """Reads every password again, and lets logins that were refused try at once."""
        found = Reread()
        for name, password in self._passwords.items():
            possible, text = password.reread()
            (found.done if possible else found.refused).append(f"{name}: {text}")
            if self._pollers[name].retry():
                found.done.append(f"{name}: its login was refused; it is tried again now")
            found.done += self._taken(name, self._pollers[name].health)
        return found

    def _taken(self, name: str, health: Health) -> list[str]:
        """A pause that leaves the session to somebody else is not cut short."""
        if health.state is not SourceState.TAKEN or health.next_try is None:
            return []
        end = datetime.fromtimestamp(self._clock.wall() + health.next_try - self._clock.monotonic()).astimezone()
        return [f"{name}: another login takes its session; the pause goes on until {end:%H:%M}"]

    async def passwd(self, source: str, new: str, user: str, *, unfinished: bool) -> Outcome:
        """Changes a source's password in its running session, or settles an unfinished change to `new`.

        Raises:
            ValueError: this source has no such call, or the password breaks the product's rule.
        """
        session, spec = self._sessions.get(source), passwd_of(self.site, source)
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
