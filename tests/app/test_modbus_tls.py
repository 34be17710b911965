"""modbus.tls of config.yaml: a limit written by a client with a certificate, and none by one without."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import ConfigError
from tests.servers.modbus.authority import Authority, client_context, utf8
from tests.servers.modbus.conftest import Wire, write16
from tests.site import running_site

LIMIT = "evce/zone/Zone A/reduction"


async def test_the_role_of_a_certificate_is_a_client_group_of_the_site(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "site-ca")
    authority.issue("gateway")

    def secure(data: dict[str, Any]) -> None:
        data["modbus"]["tls"] = {
            "listen": "127.0.0.1:0",
            "certificate": "gateway.crt",
            "key": {"file": "gateway.key"},
            "client_ca": "site-ca.pem",
            "roles": {"Operator": "bms"},
        }

    async with running_site(tmp_path, change=secure) as site:
        await site.until(lambda: site.value("evce/zone/Zone A/maximum") is not None)
        assert site.daemon.modbus is not None
        port, ask = site.daemon.modbus.secure_port, write16(site.register(LIMIT), struct.pack(">f", 20.0))
        for role, answer in (
            (utf8("Visitor"), b""),
            (utf8("Operator"), struct.pack(">BHH", 16, site.register(LIMIT), 2)),
        ):
            context = client_context(authority, authority.issue("client", role))
            wire = Wire(*await asyncio.open_connection("127.0.0.1", port, ssl=context))
            if answer:
                assert await wire.ask(ask) == answer
            else:
                assert await wire.closed()
            wire.writer.transport.abort()
        await site.until(lambda: site.value(f"{LIMIT}.applied") == 20.0)
        puts = [request for request in site.evce.received if request.method == "PUT"]
        assert [put.body["value"] for put in puts] == [20]


async def test_a_private_key_that_is_not_there_is_told_at_its_key(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "site-ca")
    authority.issue("gateway")

    def secure(data: dict[str, Any]) -> None:
        data["modbus"]["tls"] = {
            "listen": "127.0.0.1:0",
            "certificate": "gateway.crt",
            "key": {"file": "other.key"},
            "client_ca": "site-ca.pem",
            "roles": {"Operator": "bms"},
        }

    with pytest.raises(ExceptionGroup) as refused:
        async with running_site(tmp_path, change=secure):
            pass
    (error,) = refused.value.exceptions
    assert isinstance(error, ConfigError)
    (fault,) = error.faults
    assert (fault.path, fault.line > 0) == ("modbus.tls.key.file", True)
    assert fault.text == f"{tmp_path}/other.key cannot be read: No such file or directory"
