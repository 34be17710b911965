"""What `status` tells a person when somebody else takes the session of a product."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from gateway.app.control import Control
from tests.site import AheadClock, running_site, until


@pytest.mark.parametrize(("name", "op"), [("evce", "person_login"), ("garage-7", "web_login")])
async def test_U02_U13_status_says_taken_with_an_alarm_and_nobody_logs_in_meanwhile(tmp_path, monkeypatch, name, op):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    clock = AheadClock()
    async with running_site(tmp_path, gateway_clock=clock, stations=1, zones=1, meters=0) as running:
        await running.complete()
        product = running.evce if name == "evce" else running.benders[0]
        control, poller = Control(running.daemon), running.daemon.pollers[name]
        for number in (1, 2, 3):
            session = poller.source.session_number
            await product.do(op)
            clock.ahead_s += 6
            if number < 3:
                await until(lambda n=session: poller.source.session_number > n)
                clock.ahead_s += 6
                await until(lambda: poller.health.last_good and clock.monotonic() - poller.health.last_good < 3)
        await until(lambda: poller.health.state == "taken")
        posts = len(product.received)
        status = control.status()
        (source,) = (row for row in status["sources"] if row["name"] == name)
        assert (source["state"], source["connected"], source["relogins"]) == ("taken", False, 2)
        assert "taken by another login; pausing 5 min, next try" in source["reason"]
        assert 290 < source["retry_in_s"] <= 300
        assert status["alarms"] >= 1
        (told,) = [line for line in (await running.daemon.reload("anna")).done if "the pause goes on" in line]
        end = datetime.fromtimestamp(clock.wall() + poller.health.next_try - clock.monotonic()).astimezone()
        assert told == f"{name}: another login takes its session; the pause goes on until {end:%H:%M}"
        assert poller.health.state == "taken"
        clock.ahead_s += 280
        await asyncio.sleep(1.2)
        assert [item.path for item in product.received[posts:] if "login" in item.path] == []
        clock.ahead_s += 21
        await until(lambda: poller.health.connected)
