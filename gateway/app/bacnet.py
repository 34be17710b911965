"""The configuration of the BACnet server in its own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from typing import Any

from gateway.config import LoadedConfig, read_secret_at
from gateway.config.downstream import BacnetConfig
from gateway.engine.ports import Journal
from gateway.servers.bacnet import AlarmTerms, Keeper, Terms, Virtual

DATABASE_REVISION = "gateway/bacnet/database_revision"
"""The journal's key of the gateway's own Database_Revision; a virtual device's has its instance behind it."""


class Revisions:
    """Keeps every device's Database_Revision, over restarts in the journal and over a reload here.

    Args:
        journal: where they are kept.
        fresh: what begins the count of a device that was never there.
    """

    def __init__(self, journal: Journal, fresh: int) -> None:
        self._journal, self._fresh = journal, fresh
        self._newest: dict[str, Mapping[str, Any]] = {}

    def keeper(self, instance: int | None = None) -> Keeper:
        """That of the gateway's own device, or of the virtual one with this instance."""
        key = DATABASE_REVISION if instance is None else f"{DATABASE_REVISION}/{instance}"
        return Keeper(
            self._newest.get(key) or self._journal.restored().get(key),
            self._fresh,
            lambda state: self._save(key, state),
        )

    def _save(self, key: str, state: Mapping[str, Any]) -> None:
        self._newest[key] = state
        self._journal.note({key: state}, ())


def virtual_network(config: BacnetConfig, revisions: Revisions) -> Virtual | None:
    """The network of virtual devices, None with `devices: one`."""
    if config.network is None:
        return None
    return Virtual(config.network, config.device_name, revisions.keeper, config.ip_network or 0)


def bacnet_terms(
    config: BacnetConfig, loaded: LoadedConfig, restart: Callable[[], None], alarms: AlarmTerms | None = None
) -> Terms:
    """What `bacnet:` settles; `restart` ends the process in good order, `alarms` is as in Terms.

    Raises:
        ConfigError: the password cannot be read.
    """
    return Terms(
        write_networks=[network for network in config.write if isinstance(network, IPv4Network)],
        object_name=config.object_name,
        cov_per_peer=config.cov_per_peer,
        cov_total=config.cov_total,
        password=_password(config, loaded),
        restart=restart if config.reinitialize else None,
        foreign=(config.foreign.bbmd, config.foreign.ttl) if config.foreign else None,
        alarms=alarms,
    )


def _password(config: BacnetConfig, loaded: LoadedConfig) -> str | None:
    secret = config.dcc_password
    return None if secret is None else read_secret_at(loaded, ("bacnet", "dcc_password"), secret)
