"""The web listener of a site: page, API, /healthz and /metrics, with what each of them needs of the gateway."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from gateway import __version__
from gateway.app.control import Control
from gateway.app.metrics import Metrics
from gateway.app.page.downloads import Downloads
from gateway.app.page.port import Page
from gateway.app.page.tls import PageTls, page_tls
from gateway.app.plant import Plant
from gateway.app.refusals import Refusals
from gateway.app.upstream import Spawn
from gateway.config.web import WebConfig
from gateway.core.priority import Origin
from gateway.engine.ports import Evidence
from gateway.export import MapSpec
from gateway.store.installation import KEY_BYTES, Installation
from gateway.store.users import NOBODY, User, UserBook, UserRefused, UsersUnreadable
from gateway.telemetry import Recent
from gateway.web import MetricsRoute
from gateway.web.ports import Unusable
from gateway.web.server import PageParts, Terms, WebServer

if TYPE_CHECKING:
    from gateway.app.listeners import Listeners

ENDED = "gateway/page/ended"
"""The journal's key of sessions that were ended by logout; no point's key has three parts that begin so."""
PLACE = "page/login"
log = structlog.get_logger("page")


class PageUsers:
    """Implements `web.ports.UserPort`."""

    def __init__(self, book: UserBook) -> None:
        self._book = book

    def find(self, name: str) -> User | None:
        """A user by name."""
        return self._book.find(name)

    def everybody(self) -> Sequence[User]:
        """All users, by name."""
        return sorted(self._book.all().values(), key=lambda user: user.name)

    def nobody(self) -> User:
        """Costs as much to compare as a real user."""
        return NOBODY

    def set_password(self, name: str, password: str) -> None:
        """Another password."""
        try:
            self._book.set_password(name, password)
        except UserRefused as error:
            raise Unusable(str(error)) from error


class WebListener:
    """Makes, starts and stops the web server as the configuration says."""

    def __init__(self, plant: Plant, listeners: Listeners, control: Control, spawn: Spawn) -> None:
        self._plant, self._listeners, self._control, self._spawn = plant, listeners, control, spawn
        self._server: WebServer | None = None
        self._page: Page | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._tls: PageTls | None = None
        self._recent = Recent(plant.clock.wall)
        self._failures = Refusals(plant.journal, plant.clock, "login_failed")
        self._ended = _ended(plant.journal.restored().get(ENDED))

    @property
    def port(self) -> int:
        """The port it listens on, 0 while it does not."""
        return 0 if self._server is None else self._server.port

    @property
    def fingerprint(self) -> str | None:
        """Of its certificate, None on plain http."""
        return None if self._tls is None else self._tls.fingerprint

    @property
    def pages(self) -> int:
        """How many pages are open."""
        return 0 if self._server is None else self._server.streams.count

    async def start(self, config: WebConfig) -> None:
        """Binds.

        Raises:
            ConfigError: the site's certificate or key cannot be used.
            OSError: the address is taken, or the state directory takes no self-made certificate.
        """
        plant = self._plant
        self._tls = page_tls(plant.site, config, plant.clock.wall())
        context = None if self._tls is None else self._tls.context
        terms = Terms(config.host, config.port, context, tuple(config.names))
        users = PageUsers(UserBook(plant.site.state_dir))
        downloads = Downloads(self._map, plant.site.state_dir, bacnet=lambda: self._listeners.bacnet is not None)
        page = Page(plant, self._control.status, downloads, self._recent)
        parts = PageParts(
            page=page,
            users=users,
            audit=self._audit,
            table=plant.table,
            clock=plant.clock,
            key=self._key(),
            about=self._about,
            ended=self._ended,
            keep=self._keep,
        )
        metrics = MetricsRoute(Metrics(plant, self._listeners).render, config.metrics_allow)
        server = WebServer(terms, plant.healthy, parts, metrics.answer)
        await server.start()
        self._server, self._page = server, page
        self._recent.begin()
        self._ticking = self._spawn(server.hub.run())
        if self._tls is not None:
            log.info("page.certificate", fingerprint=self._tls.fingerprint)
        self._tell_of_users(users)

    @staticmethod
    def _tell_of_users(users: PageUsers) -> None:
        """Why nobody can log in, if so."""
        try:
            if not users.everybody():
                log.warning("page.no_user", reason="nobody can log in yet: `evce-gateway user add NAME --role admin`")
        except UsersUnreadable as error:
            log.error("page.users_unreadable", reason=str(error))  # noqa: TRY400  # a fault of the file's

    def _key(self) -> bytes:
        """This installation's key; a disk that does not take it costs only that logins end with the process."""
        try:
            return Installation(self._plant.site.state_dir).session_key()
        except OSError as error:
            log.warning("page.key_not_saved", reason=f"every login ends with this process: {error.strerror}")
            return secrets.token_bytes(KEY_BYTES)

    async def stop(self) -> None:
        """Stops serving."""
        if self._ticking is not None:
            self._ticking.cancel()
        if self._page is not None:
            self._page.end()
        if self._server is not None:
            await self._server.stop()
            self._server = None
        self._recent.end()

    def _keep(self, ended: Mapping[str, float]) -> None:
        """Sessions that were ended, over a restart and over a reload of the listener."""
        self._ended = dict(ended)
        self._plant.journal.note({ENDED: dict(ended)}, ())

    def _about(self) -> dict[str, Any]:
        config = self._plant.site.config
        return {"site": config.site, "version": __version__, "local_slot": config.control.local_slot}

    def _audit(self, event: str, origin: Origin, text: str) -> None:
        """A login, or its failure, in log and evidence; the same one again is written once a minute."""
        told = log.warning if event == "login_failed" else log.info
        told(f"page.{event}", user=origin.user, address=origin.client)
        if event == "login_failed":
            self._failures(PLACE, origin, f"{text}: {origin.user} from {origin.client}")
        else:
            self._plant.journal.note({}, (Evidence(event, PLACE, origin, answer=text),))

    def _map(self) -> MapSpec:
        """What is served now; imported here because the exports build whole sites, listeners included."""
        from gateway.app.export import map_spec

        return map_spec(self._plant, self._listeners.bacnet, self._plant.clock.wall())


def _ended(saved: object) -> Mapping[str, float]:
    """The sessions that an earlier run ended."""
    return {str(k): float(v) for k, v in saved.items()} if isinstance(saved, dict) else {}
