"""The page over TLS: a self-made certificate, the site's own, and what a browser is told then."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.app.load import load_site
from gateway.app.page.tls import page_tls
from gateway.core.errors import ConfigError
from gateway.simulator.certificate import make_certificate
from tests.site import free_port
from tests.web.rig import PAGE, stand
from tests.web.test_login import morsel

DAY_S = 86400.0
NOW = 1_800_000_000.0


def site_with(folder: Path, web: dict[str, Any]) -> Any:
    """A site of one charger that is never asked."""
    mapping = Path(__file__).resolve().parents[2] / "mappings" / "bender.yaml"
    (folder / "secret").write_text("x")
    charger = "name: g, kind: bender, url: 'http://127.0.0.1:1', username: u, password: {file: secret}"
    lines = [
        "state_dir: state",
        "sources:",
        f"  - {{{charger}, mapping: {mapping}}}",
        "modbus: {listen: '127.0.0.1:0'}",
        f"web: {web!r}".replace("'", '"'),
    ]
    (folder / "config.yaml").write_text("\n".join(lines))
    (folder / "state").mkdir(exist_ok=True)
    return load_site(folder / "config.yaml")


def made(folder: Path, web: dict[str, Any], wall: float = NOW) -> str:
    site = site_with(folder, web)
    found = page_tls(site, site.config.web, wall)
    assert found is not None
    return found.fingerprint


async def test_a_self_made_certificate_serves_the_page_and_its_cookies_are_secure(tmp_path: Path) -> None:
    site = site_with(tmp_path, {"listen": "127.0.0.1:8443", "tls": "self_made"})
    tls = page_tls(site, site.config.web, time.time())
    assert tls is not None
    file = tmp_path / "state" / "page.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    der = ssl.PEM_cert_to_DER_cert(file.read_text().partition("-----BEGIN PRIVATE")[0])
    assert tls.fingerprint == f"sha256:{hashlib.sha256(der).hexdigest()}"
    client = ssl.create_default_context(cafile=str(file))
    (tmp_path / "users").mkdir()
    async with stand(tmp_path / "users", context=tls.context, client=client) as small:
        answer = await small.login("vera")
        name, cookie = morsel(answer.headers["Set-Cookie"])
        assert name == "__Host-evce_session"
        assert (cookie["secure"], cookie["httponly"], cookie["path"]) == (True, True, "/")
        assert "domain" not in cookie
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        headers = await small.cookie("oskar")
        origin = {"Origin": f"http://127.0.0.1:{small.server.port}"}
        body = {"point": "s/zone/Z/p0", "value": 1}
        assert (await small.ask("POST", "/api/v1/write", body, {**headers, **origin})).status == 403
        right = {"Origin": f"https://127.0.0.1:{small.server.port}"}
        assert (await small.ask("POST", "/api/v1/write", body, {**headers, **right})).status == 200
        plain = {"Cookie": headers["Cookie"].replace("__Host-", "")}
        assert (await small.ask("GET", "/api/v1/session", None, {**PAGE, **plain})).status == 401


async def test_handshakes_that_are_never_finished_do_not_keep_others_out(tmp_path: Path) -> None:
    site = site_with(tmp_path, {"listen": "127.0.0.1:8443", "tls": "self_made"})
    tls = page_tls(site, site.config.web, time.time())
    assert tls is not None
    client = ssl.create_default_context(cafile=str(tmp_path / "state" / "page.pem"))
    (tmp_path / "users").mkdir()
    async with stand(tmp_path / "users", context=tls.context, client=client) as small:
        idle = [await asyncio.open_connection("127.0.0.1", small.server.port) for _ in range(230)]
        assert (await small.login("vera")).status == 200
        async with asyncio.timeout(10):
            for reader, _ in idle[:30]:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read(1) == b"", "what is more than two hundred goes, the oldest first"
        for _, writer in idle:
            writer.close()


def test_a_self_made_certificate_stays_until_it_does_not_fit_any_more(tmp_path: Path) -> None:
    web = {"listen": "127.0.0.1:8443", "tls": "self_made"}
    first = made(tmp_path, web)
    assert made(tmp_path, web, NOW + 100 * DAY_S) == first, "people compare its fingerprint"
    assert made(tmp_path, {**web, "listen": "127.0.0.1:9443"}) == first
    other = made(tmp_path, {**web, "listen": "127.0.0.5:8443"})
    assert other != first
    named = made(tmp_path, {**web, "listen": "127.0.0.5:8443", "names": ["gateway.example.com"]})
    assert named != other
    assert made(tmp_path, {**web, "listen": "127.0.0.5:8443"}) == named, "more names do no harm"
    assert made(tmp_path, {**web, "listen": "127.0.0.5:8443"}, NOW + 5 * 365 * DAY_S - 10 * DAY_S) != named


def test_a_damaged_self_made_certificate_is_made_anew(tmp_path: Path) -> None:
    web = {"listen": "127.0.0.1:8443", "tls": "self_made"}
    first = made(tmp_path, web)
    (tmp_path / "state" / "page.pem").write_text("nonsense")
    assert made(tmp_path, web) != first


def test_the_sites_own_certificate_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    own = make_certificate(names=["127.0.0.1"])
    (tmp_path / "page.crt").write_text(own.certificate_pem)
    (tmp_path / "page.key").write_text(own.key_pem)
    web = {"listen": "127.0.0.1:8443", "tls": {"certificate": "page.crt", "key": {"file": "page.key"}}}
    assert made(tmp_path, web) == own.fingerprint
    assert not (tmp_path / "state" / "page.pem").exists()
    (tmp_path / "page.key").write_text(make_certificate().key_pem)
    with pytest.raises(ConfigError, match=r"web\.tls\.certificate: cannot be used with its key"):
        made(tmp_path, web)
    (tmp_path / "page.crt").unlink()
    with pytest.raises(ConfigError, match=r"config.yaml:5:\d+: web\.tls\.certificate: there is no file"):
        made(tmp_path, web)


@pytest.mark.parametrize(
    ("web", "fault"),
    [
        ({"listen": "10.0.0.5:8080"}, "web.listen: passwords would cross the network in the clear"),
        ({"listen": "0.0.0.0:8080"}, "web.listen: passwords would cross the network in the clear"),
        ({"listen": "[::]:8080"}, "web.listen: passwords would cross the network in the clear"),
        ({"tls": "yes"}, "web.tls"),
        ({"tls": {"certificate": "x"}}, "web.tls.key: is missing"),
        ({"names": ["http://x"]}, "must be the name of a host"),
        ({"users": []}, "unknown key"),
    ],
)
def test_H05_a_listener_that_would_not_be_safe_is_a_fault(tmp_path: Path, web: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as found:
        site_with(tmp_path, web)
    assert fault in str(found.value)


def test_every_address_may_be_listened_on_with_tls(tmp_path: Path) -> None:
    for listen in ("10.0.0.5:8443", "0.0.0.0:443", "[::]:443", f"127.0.0.1:{free_port()}"):
        assert site_with(tmp_path, {"listen": listen, "tls": "self_made"}).config.web.listen == listen
    assert site_with(tmp_path, {"listen": "[::1]:8080"}).config.web.is_local
