"""A source's configuration to its session: the one place where trust, user, password and product come together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from gateway.config import LoadedConfig, SourceConfig, Tls
from gateway.core.errors import CredentialsRefused, SourceError
from gateway.engine.ports import Clock
from gateway.sources import BenderSession, EvceSession, Http, TokenStore, Trust, new_client_session
from gateway.sources.gate import mend_and_reload
from gateway.store import Store

Session = EvceSession | BenderSession


class BorrowedTokens:
    """Knows the daemon's last token, so that its session is logged out first, and writes none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load_token(self, source: str) -> str | None:
        return self._store.load_token(source)

    def save_token(self, _source: str, token: str | None) -> None:
        """Nothing: the session ends before this run does."""


def what_was_said(error: SourceError) -> str:
    """The error in words, a refused login without when the running gateway would try it again."""
    cause = error.__cause__
    return str(cause if isinstance(error, CredentialsRefused) and isinstance(cause, CredentialsRefused) else error)


def trust_of(tls: Tls | None, folder: Path) -> Trust:
    """How a source's certificate is recognised; `folder` is what its file is relative to."""
    return Trust(
        ca_file=folder / tls.ca_file if tls and tls.ca_file else None,
        fingerprint=tls.fingerprint.removeprefix("sha256:") if tls and tls.fingerprint else None,
        insecure=bool(tls and tls.insecure),
    )


async def new_session(
    loaded: LoadedConfig,
    config: SourceConfig,
    base: str,
    password: Callable[[], str],
    tokens: TokenStore,
    clock: Clock,
    stack: contextlib.AsyncExitStack,
    mend: Callable[[], str] = mend_and_reload,
) -> Session:
    """A session that is not open yet; its connections end with `stack`. `mend` says what to do about a refusal.

    Raises:
        OSError: the certificate file cannot be used.
    """
    client = await stack.enter_async_context(new_client_session(config.parallel))
    http = Http(client, config.url, trust_of(config.tls, loaded.folder), wall=clock.wall)
    if config.kind == "bender":
        return BenderSession(http, base, clock, username=config.username, password=password, mend=mend)
    return EvceSession(
        http, base, clock, source=config.name, username=config.username, password=password, tokens=tokens, mend=mend
    )
