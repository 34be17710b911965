"""Whom the gateway talks to: certificate file, fingerprint, dates, and nothing sent to anybody else."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest
from cryptography import x509

from gateway.core.errors import CredentialsRefused, Refused, Unreachable
from gateway.simulator import EvceSimulator, make_certificate
from gateway.sources import Trust, look
from tests.faults.proxy import OLD_TLS_ALERT, OLD_TLS_HELLO, SILENCE, Fault, FaultProxy, cut, garbage
from tests.sources.rig import limit, logins

DAY = 86400.0


class Product:
    """A TLS server that notes every byte it can read, and answers each request with {}."""

    def __init__(self, certificate, version=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.load_into(self.context)
        if version is not None:
            self.context.maximum_version = version
        self.certificate, self.received, self.shaken, self.writers = certificate, b"", 0, []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.address = self.server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()

    async def serve(self, reader, writer):
        self.shaken += 1
        self.writers.append(writer)
        while data := await reader.read(4096):
            self.received += data
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def present(self, certificate):
        certificate.load_into(self.context)
        self.certificate = certificate
        for writer in self.writers:
            writer.transport.abort()


@pytest.fixture
async def secure():
    async with EvceSimulator() as sim:
        yield sim


@pytest.fixture
def ask(http, monkeypatch):
    """One request with a secret in it; the same path is used by the later ones of a test."""
    paths = {}

    async def one(product, trust, host="127.0.0.1", **limits):
        key = (product, trust, host)
        if key not in paths:
            sim = EvceSimulator()
            sim._host, sim._port = host, product.address[1]
            paths[key] = http(sim, trust, **limits)
        await paths[key].request("GET", "/api/v2/pms", headers={"Authorization": "secret"})
        return paths[key]

    return one


def pin(certificate):
    return Trust(fingerprint=certificate.fingerprint.removeprefix("sha256:"))


def ca(folder, *certificates):
    file = folder / "evce.pem"
    file.write_text("".join(certificate.certificate_pem for certificate in certificates))
    return Trust(ca_file=file)


def dates(certificate):
    """The days from which and until which it holds, as it says itself: another day may begin while a test runs."""
    read = x509.load_pem_x509_certificate(certificate.certificate_pem.encode())
    return read.not_valid_before_utc.date().isoformat(), read.not_valid_after_utc.date().isoformat()


@pytest.mark.parametrize("how", ["ca_file", "fingerprint", "insecure"])
async def test_trusted_product_is_logged_in_to(secure, session, tmp_path, how):
    trust = {"ca_file": ca(tmp_path, secure), "fingerprint": pin(secure), "insecure": Trust(insecure=True)}[how]
    own = session(secure, trust=trust)
    assert own.http.certificate is None
    await own.open()
    assert logins(secure) == [200]
    assert own.http.certificate.fingerprint == secure.fingerprint
    assert own.http.certificate.not_after - time.time() == pytest.approx(3650 * DAY, abs=60)


async def test_unknown_certificate_is_refused_before_anything_is_sent(ask):
    async with Product(make_certificate()) as product:
        with pytest.raises(Unreachable, match=r"^certificate refused: self.signed certificate: got sha256:"):
            await ask(product, Trust())
        assert product.received == b""


async def test_U38_changed_certificate_shows_both_fingerprints_and_sends_nothing(secure, session):
    trust, old = pin(secure), secure.fingerprint
    own = session(secure, trust=trust)
    await own.open()
    await secure.do("replace_certificate")
    for _ in range(2):
        with pytest.raises(Unreachable) as caught:
            await own.request("GET", "/stations")
        text = f"certificate changed: expected {old}, got {secure.fingerprint}; see `evce-gateway trust`"
        assert str(caught.value) == text
    assert [request.path for request in secure.received] == ["/api/v2/login/login"]
    assert own.http.certificate.fingerprint == old


async def test_U38_changed_certificate_under_a_ca_file_shows_those_of_the_file_and_the_new_one(ask, tmp_path):
    old, other = make_certificate(), make_certificate()
    trust = ca(tmp_path, old, other)
    async with Product(old) as product:
        path = await ask(product, trust)
        assert path.certificate.fingerprint == old.fingerprint
        product.present(make_certificate())
        before = product.received
        with pytest.raises(Unreachable) as caught:
            await ask(product, trust)
        got = f"got {product.certificate.fingerprint}, evce.pem holds {old.fingerprint}, {other.fingerprint}"
        assert str(caught.value).startswith("certificate refused: self")
        assert got in str(caught.value)
        product.present(other)
        assert (await ask(product, trust)).certificate.fingerprint == other.fingerprint
        assert product.received.count(b"secret") == before.count(b"secret") + 1


@pytest.mark.parametrize("how", ["ca_file", "fingerprint"])
async def test_U37_expired_certificate_is_told_with_its_dates_and_gets_not_one_byte(ask, tmp_path, how):
    expired = make_certificate(expired=True)
    trust = ca(tmp_path, expired) if how == "ca_file" else pin(expired)
    async with Product(expired) as product:
        begin, end = dates(expired)
        for _ in range(2):
            with pytest.raises(Unreachable) as caught:
                await ask(product, trust)
            assert str(caught.value) == f"certificate expired {end} (valid from {begin})"
        assert product.received == b""


async def test_U37_the_handshake_with_an_expired_pinned_certificate_is_not_even_finished(ask):
    """The product may count nothing as a connection: what it could read would be headers."""
    expired = make_certificate(expired=True)
    async with Product(expired) as product, FaultProxy(product.address) as proxy:
        product.address = ("127.0.0.1", proxy.port)
        with pytest.raises(Unreachable, match="expired"):
            await ask(product, pin(expired))
        assert (proxy.accepted, product.shaken, product.received) == (1, 0, b"")


@pytest.mark.parametrize("how", ["ca_file", "fingerprint"])
async def test_U37_a_certificate_that_expires_while_connected_ends_the_connection(http, secure, tmp_path, how):
    now = time.time()
    secure.present(make_certificate(days=20))
    trust = ca(tmp_path, secure) if how == "ca_file" else pin(secure)
    path = http(secure, trust, wall=lambda: now)
    with pytest.raises(Refused):
        await path.request("GET", "/api/v2/pms")
    now += 21 * DAY
    with pytest.raises(Unreachable) as caught:
        await path.request("GET", "/api/v2/pms")
    begin, end = dates(secure)
    assert str(caught.value) == f"certificate expired {end} (valid from {begin})"
    now -= 21 * DAY
    with pytest.raises(Refused):
        await path.request("GET", "/api/v2/pms")


async def test_a_certificate_of_the_future_names_this_machines_clock(http, secure):
    path = http(secure, pin(secure), wall=lambda: 86400.0)
    with pytest.raises(Unreachable) as caught:
        await path.request("GET", "/api/v2/pms")
    assert str(caught.value).startswith(f"certificate is not valid before {dates(secure)[0]} (until ")
    assert str(caught.value).endswith("and this machine says 1970-01-02")


@pytest.mark.parametrize("how", ["ca_file", "fingerprint"])
async def test_the_products_own_certificate_need_not_name_its_address(ask, tmp_path, how):
    certificate = make_certificate(names=["evce.factory.example"])
    trust = ca(tmp_path, certificate) if how == "ca_file" else pin(certificate)
    async with Product(certificate) as product:
        await ask(product, trust)
        assert b"secret" in product.received


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["localhost"], "localhost", True),
        (["LocalHost"], "localhost", True),
        (["localhost"], "127.0.0.1", False),
        (["evce.example", "*.localhost"], "localhost", False),
        (["*"], "localhost", False),
        (["127.0.0.2"], "127.0.0.1", False),
        ([], "127.0.0.1", False),
    ],
)
async def test_a_certificate_signed_by_an_authority_must_name_the_host(ask, tmp_path, names, host, good):
    authority = make_certificate(subject="Site authority")
    certificate = make_certificate(names=names, signer=authority)
    trust = ca(tmp_path, authority)
    async with Product(certificate) as product:
        if good:
            await ask(product, trust, host)
            assert b"secret" in product.received
            return
        told = ", ".join(names) or "no name at all"
        with pytest.raises(Unreachable) as caught:
            await ask(product, trust, host)
        assert str(caught.value).startswith(f"certificate is made for '{told}', not for {host}; got sha256:")
        assert product.received == b""


async def test_an_expired_authority_is_refused(ask, tmp_path):
    authority = make_certificate(subject="Site authority", expired=True)
    async with Product(make_certificate(signer=authority)) as product:
        with pytest.raises(Unreachable, match=r"^certificate refused: certificate has expired: got sha256:"):
            await ask(product, ca(tmp_path, authority))
        assert product.received == b""


async def test_a_certificate_of_an_authority_is_enough_without_the_authority(ask, tmp_path):
    certificate = make_certificate(names=["x"], signer=make_certificate(subject="Far away"))
    async with Product(certificate) as product:
        await ask(product, ca(tmp_path, certificate))
        assert b"secret" in product.received


async def test_certificate_file_that_is_none(http, secure, tmp_path):
    with pytest.raises(OSError, match="No such file"):
        http(secure, Trust(ca_file=tmp_path / "none.pem"))
    bad = tmp_path / "bad.pem"
    for text in ("no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        bad.write_text(text)
        with pytest.raises(OSError):
            http(secure, Trust(ca_file=bad))
    bad.write_text("")
    with pytest.raises(OSError, match=r"bad\.pem holds no certificate"):
        http(secure, Trust(ca_file=bad))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_U35_redirects_are_refused_and_credentials_stay_here(evce, session, status):
    async with EvceSimulator(tls=False) as thief, Product(make_certificate()) as secure_thief:
        own = session(evce)
        for target in (
            f"{thief.url}/api/v2/login/login",
            f"https://127.0.0.1:{secure_thief.address[1]}/api/v2",
            f"//127.0.0.1:{thief._port}/x",
        ):
            headers = {"Location": target}
            evce.faults.add("/login/login", status=status, headers=headers, count=1)
            with pytest.raises(Refused, match=f"{status}, a redirect, is not followed") as caught:
                await own.open()
            assert not isinstance(caught.value, CredentialsRefused)
            await own.open()
            evce.faults.add("/stations", status=status, headers=headers, count=1)
            with pytest.raises(Refused, match="redirect"):
                await own.request("GET", "/stations")
            evce.faults.add("/em/zones/1/reduction", status=status, headers=headers, count=1)
            with pytest.raises(Refused, match="redirect"):
                await own.request("PUT", "/em/zones/1/reduction", {"value": 1})
            await own.close()
        assert (thief.received, secure_thief.shaken) == ([], 0)


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_U35_a_downgrade_to_http_is_refused(secure, session, status):
    """The same host without TLS: whoever listens there gets neither a header nor a body."""
    heard = []

    async def listen(reader, writer):
        heard.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    plain = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v2/em/zones/1/reduction"
    own = session(secure)
    await own.open()
    for method in ("GET", "PUT"):
        secure.faults.add("/em/zones/1/reduction", status=status, headers={"Location": plain}, count=1)
        with pytest.raises(Refused, match=f"{status}, a redirect, is not followed"):
            await own.request(method, "/em/zones/1/reduction", {"value": 1} if method == "PUT" else None)
    assert heard == []
    server.close()


@pytest.fixture
async def behind(secure):
    """A proxy before a product that speaks TLS, and a stand-in whose url is the proxy's."""
    async with FaultProxy(("127.0.0.1", secure._port)) as proxy:
        sim = EvceSimulator()
        sim.certificate, sim._port = secure.certificate, proxy.port
        proxy.sim = sim
        yield proxy


@pytest.mark.parametrize("fault", [SILENCE, Fault(after=20, end="silence")], ids=["at once", "halfway"])
async def test_U39_hanging_handshake_ends_in_time_and_says_where_it_hung(http, behind, fault):
    behind.fault = fault
    path = http(behind.sim, connect_s=0.3, total_s=5.0)
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"^connected, but no TLS handshake within 0.3 s$"):
        await path.request("PUT", "/x", body={})
    assert time.monotonic() - began < 2
    behind.fault = Fault()
    limit(path)
    with pytest.raises(Refused):
        await path.request("GET", "/api/v2/pms")


@pytest.mark.parametrize("says", [OLD_TLS_ALERT, OLD_TLS_HELLO], ids=["alert", "hello"])
async def test_U39_too_old_tls_is_refused_in_words(http, behind, says):
    behind.fault = Fault(instead=says)
    with pytest.raises(Unreachable, match=r"^TLS is too old: at least TLS 1\.2 is needed"):
        await http(behind.sim).request("GET", "/x")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("how", ["ca_file", "fingerprint"])
async def test_U39_tls_1_2_and_1_3_are_good(ask, tmp_path, version, how):
    certificate = make_certificate()
    async with Product(certificate, version) as product:
        await ask(product, ca(tmp_path, certificate) if how == "ca_file" else pin(certificate))
        assert b"secret" in product.received


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (garbage(), r"^(what answers there does not speak TLS|TLS failed: )"),
        (cut(0), "the connection broke in the TLS handshake"),
        (cut(30), "the connection broke in the TLS handshake"),
        (Fault(instead=b"HTTP/1.1 400 Bad Request\r\n\r\n"), "what answers there does not speak TLS"),
    ],
    ids=["garbage", "closed", "cut", "http"],
)
async def test_handshakes_that_break_are_told_apart(http, behind, fault, words):
    behind.fault = fault
    with pytest.raises(Unreachable, match=words):
        await http(behind.sim).request("GET", "/x")


async def test_a_look_shows_what_is_presented_and_sends_nothing():
    certificate = make_certificate(expired=True, names=["evce.example", "10.0.0.9"], subject="Depot")
    async with Product(certificate) as product:
        shown = await look(f"https://127.0.0.1:{product.address[1]}")
        assert (shown.fingerprint, shown.pem) == (certificate.fingerprint, certificate.certificate_pem)
        assert (shown.subject, shown.issuer, shown.names) == ("CN=Depot", "CN=Depot", ("evce.example", "10.0.0.9"))
        begin, end = dates(certificate)
        assert shown.out_of_date(time.time()) == f"certificate expired {end} (valid from {begin})"
        assert product.received == b""
