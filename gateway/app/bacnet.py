"""The configuration of the BACnet server in its own words."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network

from gateway.config import LoadedConfig, read_secret_at
from gateway.config.downstream import BacnetConfig
from gateway.servers.bacnet import Terms

DATABASE_REVISION = "gateway/bacnet/database_revision"
"""The journal's key of Database_Revision; no point's key has three parts that begin so."""


def bacnet_terms(config: BacnetConfig, loaded: LoadedConfig, restart: Callable[[], None]) -> Terms:
    """What `bacnet:` settles; `restart` ends the process in good order.

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
    )


def _password(config: BacnetConfig, loaded: LoadedConfig) -> str | None:
    secret = config.dcc_password
    return None if secret is None else read_secret_at(loaded, ("bacnet", "dcc_password"), secret)
