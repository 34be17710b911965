"""A source's configuration to its session: the one place where trust, user, password and product come together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from gateway.config import LoadedConfig, SourceConfig
from gateway.engine.ports import Clock
from gateway.sources import BenderSession, EvceSession, Http, TokenStore, Trust, new_client_session

Session = EvceSession | BenderSession


def trust_of(loaded: LoadedConfig, config: SourceConfig) -> Trust:
    """How the source's certificate is recognised."""
    tls = config.tls
    return Trust(
        ca_file=loaded.path(tls.ca_file) if tls and tls.ca_file else None,
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
) -> Session:
    """A session that is not open yet; its connections end with `stack`.

    Raises:
        OSError: the certificate file cannot be used.
    """
    client = await stack.enter_async_context(new_client_session(config.parallel))
    http = Http(client, config.url, trust_of(loaded, config))
    if config.kind == "bender":
        return BenderSession(http, base, clock, username=config.username, password=password)
    return EvceSession(
        http, base, clock, source=config.name, username=config.username, password=password, tokens=tokens
    )
