"""The Modbus TCP server of a site, out of its configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from ipaddress import ip_network
from pathlib import Path
from typing import TypedDict

from gateway import __version__
from gateway.addressing import PlacedPoint, Span, UnitPlan
from gateway.app.load import Site
from gateway.app.ports import split_listen
from gateway.config import NO_CREDENTIALS, LoadedConfig
from gateway.config.downstream import KeyFile, ModbusClients, ModbusConfig, ModbusTls
from gateway.config.strict_yaml import KeyPath, shown_path
from gateway.core.errors import ConfigError
from gateway.engine.observatory import Observatory
from gateway.engine.ports import Commands, OnRefused
from gateway.engine.table import PointTable
from gateway.servers.modbus import ClientGroup, ModbusServer, Security, Spawn

THIS_MACHINE = ClientGroup("local", (ip_network("127.0.0.0/8"), ip_network("::1/128")), 10, write=False)
"""Who may connect while nobody is named: read only."""


def modbus_server(
    site: Site,
    config: ModbusConfig,
    units: UnitPlan,
    placed: Collection[PlacedPoint],
    *,
    table: PointTable,
    commands: Commands,
    map_hash: Callable[[], int],
    spawn: Spawn,
    on_refused: OnRefused,
    observatory: Observatory,
) -> ModbusServer:
    """A server that does not listen yet, with the spans of every unit in which something was placed.

    Raises:
        ConfigError: the private key is not there.
    """
    host, port = split_listen(config.listen)
    return ModbusServer(
        host=host,
        port=port,
        table=table,
        commands=commands,
        groups=modbus_groups(config),
        max_connections=config.max_connections,
        max_per_address=config.max_per_address,
        **modbus_map(config, units, placed),
        version=__version__,
        site=site.config.site,
        map_hash=map_hash,
        spawn=spawn,
        on_refused=on_refused,
        observatory=observatory,
        security=modbus_security(site.loaded, config.tls) if config.tls is not None else None,
    )


class ModbusMap(TypedDict):
    """How the map is divided, in the words of ModbusServer."""

    spans: list[Span]
    one_unit: bool
    unit: int
    common: Span | None


def modbus_map(config: ModbusConfig, units: UnitPlan, placed: Collection[PlacedPoint]) -> ModbusMap:
    """The units, with the spans of every one in which something was placed."""
    used = sorted({register.unit for point in placed for register in point.registers})
    spans = [span for unit in used for span in units.spans(unit)]
    return ModbusMap(spans=spans, one_unit=config.units == "one", unit=config.unit, common=units.common)


def modbus_groups(config: ModbusConfig) -> list[ClientGroup]:
    """Who may connect."""
    return [_group(group) for group in config.clients] or [THIS_MACHINE]


def _group(group: ModbusClients) -> ClientGroup:
    return ClientGroup(
        group.name,
        tuple(group.allow),
        group.slot,
        write=group.write,
        gaps=group.gaps,
        answer_within_s=group.answer_within_s,
        requests_per_s=group.max_requests_per_s,
    )


def modbus_security(loaded: LoadedConfig, tls: ModbusTls) -> Security:
    """The secure listener.

    Raises:
        ConfigError: the private key is not there.
    """
    host, port = split_listen(tls.listen)
    certificate, client_ca = loaded.path(tls.certificate), loaded.path(tls.client_ca)
    return Security(host, port, certificate, key_file(loaded, tls.key, ("modbus", "tls", "key")), client_ca, tls.roles)


def key_file(loaded: LoadedConfig, key: KeyFile, at: KeyPath) -> Path:
    """The private key's file; a credential stands where systemd puts it. `at` is where the key is named.

    Looked into here, where its key in config.yaml is known: TLS tells of it and the certificate together.
    """
    if key.file is not None:
        path = loaded.path(key.file)
        try:
            path.open("rb").close()
        except OSError as error:
            text = f"{shown_path(path)} cannot be read: {error.strerror}"
            raise ConfigError([loaded.document.fault((*at, "file"), text)]) from error
        return path
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise ConfigError([loaded.document.fault((*at, "credential"), f"credential {key.credential} {NO_CREDENTIALS}")])
    return Path(folder) / (key.credential or "")
