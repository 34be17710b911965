"""Whom the gateway talks to: certificate file, fingerprint, and nothing sent to anybody else."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from gateway.core.errors import CredentialsRefused, Refused, Unreachable
from gateway.simulator import EvceSimulator, make_certificate
from gateway.sources import Trust
from tests.sources.rig import logins


@pytest.fixture
async def secure():
    async with EvceSimulator() as sim:
        yield sim


def pin(sim):
    return Trust(fingerprint=sim.fingerprint.removeprefix("sha256:"))


def ca(folder, sim):
    file = folder / "evce.pem"
    file.write_text(sim.certificate_pem)
    return Trust(ca_file=file)


@pytest.mark.parametrize("how", ["ca_file", "fingerprint", "insecure"])
async def test_trusted_product_is_logged_in_to(secure, session, tmp_path, how):
    trust = {"ca_file": ca(tmp_path, secure), "fingerprint": pin(secure), "insecure": Trust(insecure=True)}[how]
    await session(secure, trust=trust).open()
    assert logins(secure) == [200]


async def test_unknown_certificate_is_refused_before_anything_is_sent(secure, session):
    with pytest.raises(Unreachable, match=r"certificate refused.*self.signed"):
        await session(secure, trust=Trust()).open()
    assert secure.received == []


async def test_U38_changed_certificate_shows_both_fingerprints_and_sends_nothing(secure, session):
    trust, old = pin(secure), secure.fingerprint
    own = session(secure, trust=trust)
    await own.open()
    await secure.do("replace_certificate")
    for _ in range(2):
        with pytest.raises(Unreachable) as caught:
            await own.request("GET", "/stations")
        assert str(caught.value) == f"certificate changed: expected {old}, got {secure.fingerprint}"
    assert [request.path for request in secure.received] == ["/api/v2/login/login"]


async def test_U37_expired_certificate_is_refused_with_the_reason(session, tmp_path):
    sim = EvceSimulator()
    sim.certificate = make_certificate(expired=True)
    async with sim:
        with pytest.raises(Unreachable, match=r"certificate refused.*expired"):
            await session(sim, trust=ca(tmp_path, sim)).open()
        assert sim.received == []


def test_certificate_file_that_is_none(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Trust(ca_file=tmp_path / "none.pem").for_aiohttp()
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        Trust(ca_file=tmp_path / "bad.pem").for_aiohttp()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_U35_redirects_are_refused_and_credentials_stay_here(evce, session, status):
    async with EvceSimulator(tls=False) as thief:
        target = {"Location": f"{thief.url}/api/v2/login/login"}
        evce.faults.add("/login/login", status=status, headers=target, count=1)
        own = session(evce)
        with pytest.raises(Refused, match=f"{status}, a redirect, is not followed") as caught:
            await own.open()
        assert not isinstance(caught.value, CredentialsRefused)
        await own.open()
        evce.faults.add("/stations", status=status, headers={"Location": f"{thief.url}/api/v2/stations"})
        with pytest.raises(Refused, match="redirect"):
            await own.request("GET", "/stations")
        evce.faults.add("/em/zones/1/reduction", status=status, headers=target)
        with pytest.raises(Refused, match="redirect"):
            await own.request("PUT", "/em/zones/1/reduction", {"value": 1})
        assert thief.received == []


async def test_U39_hanging_handshake_ends_in_time(http):
    held = []

    async def hold(reader, writer):
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sim = EvceSimulator()
    sim._port = port
    path = http(sim, connect_s=0.2, total_s=0.4)
    with pytest.raises(Unreachable):
        await asyncio.wait_for(path.request("GET", "/x"), 3)
    for writer in held:
        writer.close()
    server.close()
