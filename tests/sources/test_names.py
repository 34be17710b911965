"""Host names: resolved off the loop in bounded time, the last good address kept, a new one used at once."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest
from structlog.testing import capture_logs

from gateway.core.errors import Refused, Unreachable
from gateway.simulator import EvceSimulator
from gateway.sources import Http, KeepingResolver, Trust, new_client_session
from gateway.sources.names import RESOLVE_S


class Dns:
    """What getaddrinfo says for any name: an address, an error, or (None) nothing until `hang` is set."""

    def __init__(self, address="127.0.0.1"):
        self.says, self.asked, self.hang = address, 0, threading.Event()

    def __call__(self, host, port, **_):
        self.asked += 1
        says = self.says
        if says is None:
            self.hang.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "too late")
        if isinstance(says, Exception):
            raise says
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (says, port))]


@pytest.fixture
def dns():
    dns = Dns()
    yield dns
    dns.hang.set()


@pytest.fixture
async def named(evce, dns):
    """The request path to a host name, new connections only."""
    resolver = KeepingResolver(dns)
    client = new_client_session(4, resolver)
    path = Http(client, f"http://evce.site.example:{evce._port}", Trust())

    async def ask():
        await evce.do("drop_connections")
        with pytest.raises(Refused, match=r"401|no session"):
            await path.request("GET", "/api/v2/pms")

    def patience(seconds):
        resolver._timeout_s = seconds

    path.ask, path.patience = ask, patience
    yield path
    await client.close()


GONE = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.mark.parametrize("says", [GONE, None], ids=["error", "hangs"])
async def test_U40_dns_gone_the_last_good_address_is_kept_and_said_once(named, dns, says):
    await named.ask()
    with capture_logs() as lines:
        dns.says = says
        if says is None:
            named.patience(0.2)
        for _ in range(3):
            await named.ask()
        named.patience(RESOLVE_S)
        dns.hang.set()
        while any(thread.name == "dns evce.site.example" for thread in threading.enumerate()):
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)
        dns.says = "127.0.0.1"
        await named.ask()
    reason = GONE.strerror if says else "no answer from DNS within 0.2 s"
    assert [(line["event"], line["host"], line.get("reason")) for line in lines] == [
        ("dns.failed", "evce.site.example", reason),
        ("dns.recovered", "evce.site.example", None),
    ]
    assert lines[0]["kept"] == "127.0.0.1"


async def test_U40_the_loop_goes_on_while_dns_hangs_and_one_thread_is_all_it_costs(named, dns):
    dns.says = None
    named.patience(0.2)
    began, turns = time.monotonic(), 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count())
        for _ in range(3):
            with pytest.raises(Unreachable, match=r"not known: evce\.site\.example: no answer from DNS within 0.2 s"):
                await named.request("GET", "/x")
        counting.cancel()
    assert time.monotonic() - began < 2
    assert turns > 30
    threads = [thread for thread in threading.enumerate() if thread.name == "dns evce.site.example"]
    assert (dns.asked, len(threads)) == (1, 1)


async def test_U40_a_hanging_lookup_does_not_delay_the_end_of_the_process():
    """Its thread is a daemon, and no executor that asyncio.run would wait for."""
    code = (
        "import asyncio, time\n"
        "from gateway.sources import KeepingResolver\n"
        "async def main():\n"
        "    try: await KeepingResolver(lambda *a, **k: time.sleep(30), timeout_s=0.1).resolve('x')\n"
        "    except OSError as error: print(error.strerror)\n"
        "asyncio.run(main())\n"
    )
    import sys

    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(child.communicate(), 15)
    assert out == b"no answer from DNS within 0.1 s\n"


async def test_U40_host_now_at_another_address_is_used_at_the_next_connection(evce, named, dns):
    await named.ask()
    before = named._client.connector
    async with EvceSimulator(tls=False, host="127.0.0.2", port=evce._port) as moved:
        served = []
        serve = moved._serve

        async def noted(request):
            served.append(request.path)
            return await serve(request)

        moved._server.request_handler = noted
        dns.says = "127.0.0.2"
        with pytest.raises(Refused):
            await named.request("GET", "/api/v2/pms")
        assert served == []
        await named.ask()
        assert served == ["/api/v2/pms"]
    assert named._client.connector is before


async def test_U40_an_address_in_the_configuration_never_asks_dns(evce, dns):
    dns.says = GONE
    client = new_client_session(4, KeepingResolver(dns))
    with pytest.raises(Refused):
        await Http(client, evce.url, Trust()).request("GET", "/api/v2/pms")
    assert dns.asked == 0
    await client.close()


async def test_U40_unknown_host_is_told_with_its_name(named, dns):
    dns.says = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(Unreachable) as caught:
        await named.request("GET", "/x")
    assert str(caught.value) == "the host name is not known: evce.site.example: Name or service not known"


async def test_real_names_and_both_families():
    found = await KeepingResolver().resolve("localhost", 443)
    assert {(item["host"], item["port"], item["hostname"]) for item in found} >= {("127.0.0.1", 443, "localhost")}
    with pytest.raises(OSError, match="not a host name"):
        await KeepingResolver().resolve("a" * 70 + ".example", 443)
