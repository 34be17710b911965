"""Signals: SIGHUP reads passwords again, SIGTERM ends within 10 s whatever the products do."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.site import until
from tests.system.conftest import Bench
from tests.system.test_service import complete


async def test_U17_a_logout_that_hangs_costs_less_than_ten_seconds_and_keeps_the_token(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    token = (bench.folder / "state" / "tokens" / "evce").read_text()
    bench.evce.faults.add("/login/logout", delay_s=30)
    bench.benders[0].faults.add("/logout", delay_s=30)
    began = time.monotonic()
    assert await process.end() == 0
    assert time.monotonic() - began < 9
    assert (bench.folder / "state" / "tokens" / "evce").read_text() == token
    assert "not every product answered its logout" in bench.log()
    bench.evce.faults.clear()
    bench.benders[0].faults.clear()
    await bench.evce.do("second_login", mode="refuse")
    await complete(await bench.run())


@pytest.mark.parametrize("after_s", [0.0, 0.3])
async def test_U05_U17_sigterm_during_a_login_loses_no_token(bench: Bench, after_s: float) -> None:
    """The next start can log in although the product refuses a second one."""
    await bench.products()
    await bench.evce.do("second_login", mode="refuse")
    bench.evce.faults.add("/login/login", delay_s=1.0)
    process = await bench.run()
    await asyncio.sleep(after_s)
    began = time.monotonic()
    assert await process.end() == 0
    assert time.monotonic() - began < 9
    assert bench.evce.accounts.session is None
    bench.evce.faults.clear()
    await complete(await bench.run())


async def test_U04_after_kill_9_it_runs_again_within_60_s_although_the_product_refuses_a_second_login(
    bench: Bench,
) -> None:
    await bench.products()
    await bench.evce.do("second_login", mode="refuse")
    process = await bench.run()
    await complete(process)
    process.process.kill()
    await process.process.wait()
    assert bench.evce.accounts.session is not None
    began = time.monotonic()
    await complete(await bench.run())
    assert time.monotonic() - began < 60


async def test_U12_sighup_reads_the_password_again(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    await bench.evce.do("set_password", password="Another-2026!")
    await until(lambda: "'bms' refused" in bench.log())
    (bench.folder / "password").write_text("Another-2026!")
    process.process.send_signal(signal.SIGHUP)
    await until(lambda: bench.evce.accounts.session is not None)
    await complete(process)
    await until(lambda: "gateway.reload" in bench.log())
    assert "Another-2026!" not in bench.log()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
async def test_signals_before_it_is_ready_are_heeded(bench: Bench, number: signal.Signals) -> None:
    await bench.products()
    process = await bench.start()
    lock = bench.folder / "state" / "lock"
    while not lock.exists():
        await asyncio.sleep(0)
    process.process.send_signal(number)
    if number is signal.SIGHUP:
        await complete(process)
        await until(lambda: "gateway.reload " in bench.log())
        assert "gateway.reload_refused" not in bench.log()
        assert await process.end() == 0
    else:
        assert await asyncio.wait_for(process.process.wait(), 10.0) == 0
    assert bench.evce.accounts.session is None


async def test_H04_sighup_with_a_broken_file_changes_nothing_and_a_mended_one_is_taken_over(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    text = bench.files.config.read_text()
    bench.files.config.write_text(text + "nonsense: 1\n")
    process.process.send_signal(signal.SIGHUP)
    await until(lambda: "gateway.reload_refused" in bench.log())
    assert f"config.yaml:{len(text.splitlines()) + 1}:1: nonsense: unknown key" in bench.log()
    bench.files.data["site"] = "Another name"
    bench.files.write()
    process.process.send_signal(signal.SIGHUP)
    await until(lambda: "site: Another name (was Test car park)" in bench.log())
    assert bench.evce.accounts.session is not None
    assert await process.end() == 0
