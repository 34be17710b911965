"""The fault proxy itself: what a client sees of each fault, against a server that answers everything."""

from __future__ import annotations

import asyncio
import errno
import ssl
import time

import pytest

from tests.faults.proxy import (
    OLD_TLS_ALERT,
    OLD_TLS_HELLO,
    SILENCE,
    Fault,
    FaultProxy,
    cut,
    delay,
    garbage,
    reset,
    trickle,
)
from tests.site import until

ANSWER = b"0123456789" * 10


@pytest.fixture
async def product():
    """Answers whatever comes with 100 bytes; yields its address."""
    writers = []

    async def serve(reader, writer):
        writers.append(writer)
        while await reader.read(1000):
            writer.write(ANSWER)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()
    for writer in writers:
        writer.close()


@pytest.fixture
async def proxy(product):
    async with FaultProxy(product) as proxy:
        yield proxy


@pytest.fixture
async def call(proxy):
    """Opens a connection through the proxy and sends one line."""
    writers = []

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writers.append(writer)
        writer.write(b"hello\n")
        return reader, writer

    yield one
    for writer in writers:
        writer.transport.abort()


async def test_without_a_fault_everything_passes(proxy, call):
    reader, writer = await call()
    assert await reader.readexactly(100) == ANSWER
    writer.write(b"again\n")
    assert await reader.readexactly(100) == ANSWER
    assert (proxy.accepted, proxy.connections, proxy.bytes_asked) == (1, 1, 12)
    writer.close()
    await until(lambda: proxy.connections == 0)


async def test_delay_and_trickle_take_their_time(proxy, call):
    proxy.fault = delay(0.1)
    began = time.monotonic()
    reader, _ = await call()
    await reader.readexactly(100)
    assert time.monotonic() - began >= 0.1
    proxy.fault = trickle(20, 0.03)
    began = time.monotonic()
    reader, _ = await call()
    assert await reader.read(100) == ANSWER[:20]
    await reader.readexactly(80)
    assert time.monotonic() - began >= 0.12


async def test_cut_is_an_orderly_end_and_reset_is_none(proxy, call):
    proxy.fault = cut(30)
    reader, _ = await call()
    assert await reader.read() == ANSWER[:30]
    proxy.fault = reset(30)
    reader, _ = await call()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(100)


async def test_silence_never_answers_and_ends_with_the_client_or_the_fault(proxy, call):
    proxy.fault = SILENCE
    reader, writer = await call()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)
    writer.close()
    await until(lambda: proxy.connections == 0)
    reader, _ = await call()
    await until(lambda: proxy.bytes_asked == 12)
    proxy.fault = Fault()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    proxy.fault = Fault(after=30, end="silence")
    reader, _ = await call()
    assert await reader.readexactly(30) == ANSWER[:30]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)


async def test_garbage_is_the_same_for_the_same_seed_and_never_the_answer(proxy, call):
    seen = []
    for seed in (1, 1, 2):
        proxy.fault = garbage(50, seed)
        reader, _ = await call()
        seen.append(await reader.read())
    assert seen[0] == seen[1] != seen[2]
    assert [len(data) for data in seen] == [50, 50, 50]


async def test_a_fault_for_the_next_connection_spares_the_others(proxy, call):
    first, writer = await call()
    await first.readexactly(100)
    proxy.next.append(cut(0))
    second, _ = await call()
    assert await second.read() == b""
    writer.write(b"again\n")
    assert await first.readexactly(100) == ANSWER
    third, _ = await call()
    assert await third.readexactly(100) == ANSWER


async def test_a_fault_concerns_open_connections_and_counts_from_now(proxy, call):
    reader, writer = await call()
    await reader.readexactly(100)
    proxy.fault = cut(10)
    writer.write(b"again\n")
    assert await reader.read() == ANSWER[:10]


async def test_refused_then_listening_again_on_the_same_port(proxy, call):
    port = proxy.port
    reader, _ = await call()
    await reader.readexactly(100)
    await proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    with pytest.raises(ConnectionRefusedError):
        await call()
    await proxy.listen()
    assert proxy.port == port
    reader, _ = await call()
    assert await reader.readexactly(100) == ANSWER


async def test_a_black_hole_lets_connections_hang_on_this_kernel(proxy, call):
    await proxy.blackhole()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call(), 0.4)
    await proxy.listen()
    reader, _ = await call()
    assert await reader.readexactly(100) == ANSWER


async def test_a_product_that_is_gone_resets_the_client(product):
    async with FaultProxy(("127.0.0.1", 1)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(OSError) as caught:
            await reader.readexactly(1)
        assert caught.value.errno == errno.ECONNRESET
        writer.transport.abort()


@pytest.mark.parametrize(("says", "words"), [(OLD_TLS_ALERT, "ALERT_PROTOCOL_VERSION"), (OLD_TLS_HELLO, "UNSUPPORTED")])
async def test_old_tls_is_what_openssl_takes_it_for(proxy, says, words):
    proxy.fault = Fault(instead=says)
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLError, match=words):
        await asyncio.open_connection("127.0.0.1", proxy.port, ssl=context, server_hostname="evce")
