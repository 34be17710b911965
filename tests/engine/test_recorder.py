"""What is recorded of a point, when, and what a record says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.core.trend import Note, TrendSpec
from gateway.core.value import BAD, CONFIG_ERROR, GOOD, OUT_OF_SERVICE, STALE, ValueKind
from tests.engine.past import EACH_CHANGE, EACH_MINUTE, MIDNIGHT, Hands, live, point


async def test_a_value_is_recorded_at_each_full_minute(tmp_path: Path) -> None:
    past = await live(tmp_path)
    past.pass_time(13)
    current = past.learn(point("current", EACH_MINUTE))
    past.set(current, 12.5)
    past.pass_time(100)
    past.set(current, 13.5)
    past.pass_time(20)
    found = await past.records(current)
    assert [(r.seq, r.at - MIDNIGHT, r.value, r.quality) for r in found] == [(1, 60, 12.5, GOOD), (2, 120, 13.5, GOOD)]
    await past.recorder.close()


async def test_a_day_begins_at_local_midnight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")  # half an hour beside the full ones of UTC
    time.tzset()
    try:
        midnight = time.mktime((2026, 3, 2, 0, 0, 0, 0, 0, -1))
        clock = Hands()
        clock.offset = midnight - clock.now - 30
        past = await live(tmp_path, clock)
        energy = past.learn(point("energy", TrendSpec(86400.0)))
        past.set(energy, 7.0)
        past.pass_time(40)
        assert [r.at for r in await past.records(energy)] == [midnight]
        await past.recorder.close()
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_a_bad_value_is_none_and_never_zero(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_MINUTE))
    for value, quality in ((5.0, GOOD), (5.0, STALE), (None, BAD), (None, CONFIG_ERROR), (0.0, GOOD)):
        past.set(current, value, quality, "why")
        past.pass_time(60)
    assert [(r.value, r.quality) for r in await past.records(current)] == [
        (5.0, GOOD),
        (5.0, STALE),
        (None, BAD),
        (None, CONFIG_ERROR),
        (0.0, GOOD),
    ]
    await past.recorder.close()


async def test_an_unknown_state_is_no_value(tmp_path: Path) -> None:
    past = await live(tmp_path)
    state = past.learn(point("state", EACH_CHANGE, ValueKind.ENUM, codes={"Free": 1}))
    past.set(state, 1)
    past.set(state, 0, GOOD, "unknown text 'Parked'")
    assert [(r.value, r.quality) for r in await past.records(state)] == [(1, GOOD), (None, BAD)]
    await past.recorder.close()


async def test_each_change_is_recorded_once_and_at_once(tmp_path: Path) -> None:
    past = await live(tmp_path)
    limit = past.learn(point("reduction", EACH_CHANGE))
    for value, reason in ((60.0, ""), (60.0, "another reason"), (40.0, ""), (60.0, "")):
        past.clock.now += 0.25
        past.set(limit, value, GOOD, reason)
    found = await past.records(limit)
    assert [(r.at - MIDNIGHT, r.value) for r in found] == [(0.25, 60.0), (0.75, 40.0), (1.0, 60.0)]
    await past.recorder.close()


async def test_a_boolean_stays_one(tmp_path: Path) -> None:
    past = await live(tmp_path)
    online = past.learn(point("online", EACH_CHANGE, ValueKind.BOOL))
    past.set(online, True)
    past.set(online, False)
    await past.saved()
    assert [r.value for r in await past.records(online)] == [True, False]
    assert all(isinstance(r.value, bool) for r in await past.records(online))
    await past.recorder.close()


async def test_the_oldest_record_makes_room_for_the_newest(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_MINUTE))
    for minute in range(25):
        past.set(current, float(minute))
        past.pass_time(60)
        if minute % 4 == 0:
            await past.saved()
    assert await past.values(current) == [float(minute) for minute in range(15, 25)]
    log = past.recorder.log(current)
    assert log is not None
    assert (log.first, log.last, log.count) == (16, 25, 10)
    await past.recorder.close()


async def test_a_restart_goes_on_with_a_note(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_MINUTE))
    past.set(current, 12.5)
    past.pass_time(120)
    await past.recorder.close()

    again = await live(tmp_path, past.clock)
    again.pass_time(30)
    current = again.learn(point("current", EACH_MINUTE), name="Zone B2")
    again.set(current, 13.5)
    again.pass_time(30)
    assert await again.values(current) == [12.5, 12.5, "INTERRUPTED", 13.5]
    assert [r.seq for r in await again.records(current)] == [1, 2, 3, 4]
    await again.recorder.close()


async def test_the_history_stays_with_the_block_whatever_it_is_called(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_CHANGE))
    past.set(current, 1.0)
    past.table.rename(current, "evce/zone/North/current")
    assert past.learn(point("current", EACH_CHANGE), name="North") == current
    other = past.learn(point("current", EACH_CHANGE), name="Zone B", block=4)
    past.set(current, 2.0)
    past.set(other, 7.0)
    assert await past.values(current) == [1.0, 2.0]
    assert await past.values(other) == [7.0]
    await past.recorder.close()


async def test_a_point_that_comes_back_has_the_records_it_had(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_CHANGE))
    past.set(current, 1.0)
    past.recorder.forget([current])
    past.set(current, 2.0)
    again = past.learn(point("current", EACH_CHANGE), name="Other index")
    assert again != current
    past.set(again, 3.0)
    assert await past.values(again) == [1.0, "INTERRUPTED", 3.0]
    assert past.recorder.log(current) is None
    await past.recorder.close()


async def test_without_a_block_or_a_trend_there_is_no_history(tmp_path: Path) -> None:
    past = await live(tmp_path)
    homeless = past.learn(point("current", EACH_CHANGE), block=None)
    plain = past.learn(point("power", None))
    assert [past.recorder.log(index) for index in (homeless, plain)] == [None, None]
    assert await past.recorder.read(plain, 0, 1e10, 5) == []
    assert await past.recorder.read("evce/zone/Nobody/power", 0, 1e10, 5) == []
    await past.recorder.close()


async def test_a_clock_that_is_set_leaves_a_note(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_MINUTE))
    past.set(current, 1.0)
    past.pass_time(60)
    past.clock.offset -= 3600
    past.pass_time(60)
    past.clock.offset += 0.5
    past.pass_time(60)
    found = await past.records(current)
    assert [(r.note, r.value) for r in found] == [
        (Note.VALUE, 1.0),
        (Note.TIME_CHANGE, -3600.0),
        (Note.VALUE, 1.0),
        (Note.VALUE, 1.0),
    ]
    assert found[1].at == pytest.approx(MIDNIGHT + 61 - 3600)
    await past.recorder.close()


async def test_summer_time_is_a_clock_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        change = time.mktime((2026, 3, 29, 3, 0, 0, 0, 0, 1))  # a second before it was 01:59:59
        clock = Hands()
        clock.offset = change - clock.now - 90
        past = await live(tmp_path, clock)
        current = past.learn(point("current", EACH_MINUTE))
        past.set(current, 1.0)
        past.pass_time(160)
        found = await past.records(current)
        assert [(r.at - change, r.note, r.value) for r in found] == [
            (-60, Note.VALUE, 1.0),
            (0, Note.TIME_CHANGE, 3600.0),
            (0, Note.VALUE, 1.0),
            (60, Note.VALUE, 1.0),
        ]
        await past.recorder.close()
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_a_value_that_would_come_too_late_is_a_gap(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_MINUTE))
    past.set(current, 1.0)
    past.pass_time(60)
    past.clock.now += 70  # the process stood still, and the clock did not
    past.recorder.tick()
    past.pass_time(60)
    assert await past.values(current) == [1.0, "INTERRUPTED", 1.0]
    await past.recorder.close()


async def test_a_log_is_stopped_emptied_and_started(tmp_path: Path) -> None:
    past = await live(tmp_path)
    limit = past.learn(point("reduction", EACH_CHANGE))
    log = past.recorder.log(limit)
    assert log is not None
    past.set(limit, 1.0)
    past.recorder.switch(log, enabled=False, by="10.0.0.9")
    past.recorder.switch(log, enabled=False, by="10.0.0.9")
    past.set(limit, 2.0)
    past.pass_time(2)
    assert await past.values(limit) == [1.0, "STOPPED"]
    await past.recorder.close()

    again = await live(tmp_path, past.clock)
    limit = again.learn(point("reduction", EACH_CHANGE))
    again.set(limit, 3.0)
    log = again.recorder.log(limit)
    assert log is not None
    assert not log.enabled
    again.recorder.purge(log, by="10.0.0.9")
    assert await again.values(limit) == ["PURGED"]
    again.recorder.switch(log, enabled=True, by="10.0.0.9")
    again.pass_time(1)
    assert (await again.values(limit))[-2:] == ["STARTED", 3.0]
    await again.saved()
    assert (await again.values(limit))[0] == "PURGED"
    await again.recorder.close()


async def test_another_trend_goes_on_in_the_same_log(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_MINUTE))
    past.set(current, 1.0)
    past.pass_time(60)
    past.learn(point("current", EACH_CHANGE))
    past.set(current, 2.0)
    past.pass_time(120)
    assert await past.values(current) == [1.0, "INTERRUPTED", 2.0]
    past.learn(point("current", None))
    past.set(current, 3.0)
    assert past.recorder.log(current) is None
    past.learn(point("current", EACH_CHANGE))
    past.set(current, 4.0)
    assert await past.values(current) == [1.0, "INTERRUPTED", 2.0, "INTERRUPTED", 4.0]
    await past.recorder.close()


async def test_a_commandable_point_records_what_is_asked(tmp_path: Path) -> None:
    from tests.servers.bacnet.conftest import command

    past = await live(tmp_path)
    limit = past.learn(point("reduction", EACH_CHANGE, command=command()))
    past.set(limit, 60.0, BAD, "not read yet")
    assert await past.values(limit) == [60.0]
    await past.recorder.close()


async def test_a_chart_begins_with_the_value_that_held_then(tmp_path: Path) -> None:
    past = await live(tmp_path)
    limit = past.learn(point("reduction", EACH_CHANGE))
    for value in (10.0, 20.0, 30.0):
        past.set(limit, value)
        past.pass_time(100)
        await past.saved()
    past.set(limit, None, BAD, "no answer")
    since, until = MIDNIGHT + 150, MIDNIGHT + 400
    found = await past.recorder.read("evce/zone/Zone B/reduction", since, until, 100)
    assert [(r.at - MIDNIGHT, r.value) for r in found] == [(100, 20.0), (200, 30.0), (300, None)]
    assert [r.value for r in await past.recorder.read(limit, since, until, 2)] == [30.0, None]
    assert [r.value for r in await past.recorder.read(limit, since, MIDNIGHT + 250, 100)] == [20.0, 30.0]
    assert await past.recorder.read(limit, since, until, 0) == []
    await past.recorder.close()


async def test_records_are_found_by_time(tmp_path: Path) -> None:
    past = await live(tmp_path)
    current = past.learn(point("current", EACH_MINUTE))
    log = past.recorder.log(current)
    assert log is not None
    assert await past.recorder.seek(log, MIDNIGHT, newer=True) is None
    past.set(current, 1.0)
    for _ in range(4):
        past.pass_time(60)
        if log.last == 2:
            await past.saved()  # two on the disk, two in memory
    seek = past.recorder.seek
    assert [await seek(log, MIDNIGHT + at, newer=True) for at in (0, 60, 119, 120, 180, 240)] == [1, 2, 2, 3, 4, None]
    assert [await seek(log, MIDNIGHT + at, newer=False) for at in (60, 61, 120, 181, 999)] == [None, 1, 1, 3, 4]
    await past.recorder.close()


async def test_what_a_gateway_that_is_killed_loses_is_what_came_since_the_last_save(tmp_path: Path) -> None:
    past = await live(tmp_path)
    limit = past.learn(point("reduction", EACH_CHANGE))
    past.set(limit, 1.0)
    past.pass_time(10)  # a save every ten seconds
    await past.saved()
    past.set(limit, 2.0)
    again = await live(tmp_path, past.clock)  # the first one never closed its file
    limit = again.learn(point("reduction", EACH_CHANGE))
    assert await again.values(limit) == [1.0, "INTERRUPTED"]
    await again.recorder.close()
    await past.recorder.close()


async def test_a_forced_value_is_no_measurement_and_neither_is_what_follows_from_it(tmp_path: Path) -> None:
    past = await live(tmp_path)
    minute, change = past.learn(point("current", EACH_MINUTE)), past.learn(point("state", EACH_CHANGE))
    total = past.learn(point("total", EACH_CHANGE))
    past.set(minute, 5.0)
    past.table.derive(total, [minute], lambda samples: (samples[0].value, GOOD, ""))
    past.set(change, 1.0)
    past.pass_time(60)
    past.table.force(minute, 5.0, OUT_OF_SERVICE + "forced")
    past.table.force(change, 1.0, OUT_OF_SERVICE + "forced")
    past.pass_time(60)
    past.table.unforce(minute)
    past.table.unforce(change)
    past.pass_time(60)
    assert [(r.value, r.quality) for r in await past.records(minute)] == [(5.0, GOOD), (None, BAD), (5.0, GOOD)]
    for index, value in ((change, 1.0), (total, 5.0)):
        assert [(r.value, r.quality) for r in await past.records(index)] == [(value, GOOD), (None, BAD), (value, GOOD)]
    await past.recorder.close()
