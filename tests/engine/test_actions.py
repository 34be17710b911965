"""One-shot commands on the real engine against the strict simulators (C15)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.core.action import ActionResult
from gateway.core.errors import CommandRejected, Reject
from gateway.core.priority import Origin
from gateway.engine import actions, performer
from gateway.engine.actions import ActionDesk
from gateway.engine.alarms import Alarms
from gateway.engine.ports import Ask
from tests.engine.limits import limits_up
from tests.engine.rig import BMS, POLICY, Plant, loaded, until, up

R = ActionResult
RESET = "evce/station/Bay 001/reset"
BODIES = {"desc": [{"type": "Soft"}, {"type": "Hard"}], "nested": [{"type": "SOFT"}, {"type": "HARD"}]}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(performer, "LOOK_AGAIN_S", 0.01)


def quick(dialect="desc", **changes):
    """The shipped kinds with actions that are followed a hundred times a second."""
    kinds = []
    for kind in loaded({"desc": "evce.yaml", "nested": "evce-nested.yaml"}[dialect]).kinds.values():
        made = {
            name: replace(spec, **{"follow": spec.follow and replace(spec.follow, every_s=0.01), **changes})
            for name, spec in kind.actions.items()
        }
        kinds.append(replace(kind, actions=made))
    return kinds


async def write(plant, *codes, origin=BMS):
    """Writes (point, code) pairs in one request."""
    await plant.desk.submit([Ask(plant.index(name), code, 10) for name, code in codes], origin)


def result(plant, point=RESET):
    return R(int(plant.sample(f"{point}.result").value))


def why(plant, point=RESET):
    return plant.sample(f"{point}.error_text").value


def posts(sim, name="reset"):
    """(status, body) of every command the product received."""
    path = f"{sim.base}/stations/101/cmds/{name}"
    return [(item.status, item.body) for item in sim.received if item.path == path]


async def ended(plant, sim, outcome, point=RESET):
    """The product's time moves on until the action ends."""

    def over():
        sim.clock.now += 0.05
        return result(plant, point) is outcome

    await until(over)


async def test_C15_a_code_is_sent_once_and_followed_to_its_end(both, plant):
    plant.add("evce", both, kinds=quick(both.dialect))
    async with plant.running():
        await up(plant)
        assert (plant.value(RESET), result(plant), why(plant)) == (0, R.NEVER_RUN, "")
        await write(plant, (RESET, 1))
        assert (plant.value(RESET), result(plant)) == (1, R.RUNNING)
        await until(lambda: posts(both))
        await asyncio.sleep(0.1)
        assert result(plant) is R.RUNNING, "the product said no end yet"
        await ended(plant, both, R.DONE)
        assert posts(both) == [(200, BODIES[both.dialect][0])]
        assert plant.journal.events(RESET) == ["accepted", "sent", "done"]
        assert both.site.stations[101].restarting
        assert not plant.alarms


async def test_C15_only_a_change_from_0_fires_again(both, plant):
    plant.add("evce", both, kinds=quick(both.dialect))
    async with plant.running():
        await up(plant)
        await write(plant, (RESET, 1))
        await write(plant, (RESET, 1))
        with pytest.raises(CommandRejected, match="still running") as busy:
            await write(plant, (RESET, 2))
        assert busy.value.reject is Reject.BUSY
        await write(plant, (RESET, 0))
        with pytest.raises(CommandRejected, match="still running"):
            await write(plant, (RESET, 1))
        await ended(plant, both, R.DONE)
        await write(plant, (RESET, 2))
        await ended(plant, both, R.DONE)
        await write(plant, (RESET, 2))
        with pytest.raises(CommandRejected, match="write 0 first") as standing:
            await write(plant, (RESET, 1))
        assert standing.value.reject is Reject.RANGE
        assert why(plant) == str(standing.value)
        assert posts(both) == [(200, body) for body in BODIES[both.dialect]]


async def test_C15_what_comes_twice_at_once_fires_once(evce, plant):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        await asyncio.gather(*(write(plant, (RESET, 1)) for _ in range(5)))
        await ended(plant, evce, R.DONE)
        assert posts(evce) == [(200, {"type": "Soft"})]
        assert plant.journal.events(RESET).count("accepted") == 1


@pytest.mark.parametrize(
    ("value", "reject"),
    [
        *((value, Reject.RANGE) for value in (3, 1.5, -1, float("nan"), 65535)),
        *(("1", Reject.TYPE), (True, Reject.TYPE), (None, Reject.NOT_WRITABLE)),
    ],
)
async def test_C15_what_is_no_code_is_refused_and_written_down_once(evce, plant, value, reject):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        for _ in range(3):
            with pytest.raises(CommandRejected) as refused:
                await write(plant, (RESET, value))
            assert refused.value.reject is reject
        assert posts(evce) == []
        assert plant.journal.events(RESET) == ["refused"]
        assert why(plant) == str(refused.value)


async def test_C15_a_request_over_several_actions_and_a_limit_is_all_or_nothing(evce, plant):
    limit, lock = "evce/zone/Zone A/reduction", "evce/station/Bay 001/change_availability"
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        await limits_up(plant)
        for wrong in ((limit, 1.0), (lock, 9)):
            with pytest.raises(CommandRejected):
                await write(plant, (RESET, 1), wrong)
            assert (plant.value(RESET), result(plant)) == (0, R.NEVER_RUN)
        await write(plant, (RESET, 1), (lock, 0), (limit, 60.0))
        await ended(plant, evce, R.DONE)
        await until(lambda: plant.value(f"{limit}.applied") == 60.0)
        assert (len(posts(evce)), posts(evce, "change_availability")) == (1, [])


async def test_C15_what_the_product_rejects_has_failed_and_alarms_until_the_next_write(evce, plant):
    start = "evce/station/Bay 001/remote_stop"
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        await evce.do("station_online", name="Bay 001", online=False)
        await write(plant, (start, 2))
        await ended(plant, evce, R.FAILED, start)
        assert why(plant, start) == "the product says 'rejected'"
        assert list(plant.alarms.texts().values()) == [f"{start}: code 2: failed: the product says 'rejected'"]
        await write(plant, (start, 0))
        assert not plant.alarms
        assert result(plant, start) is R.FAILED


@pytest.mark.parametrize(
    ("fault", "outcome", "text"),
    [
        ({"status": 400, "body": '{"code": 7, "message": "not now"}'}, R.FAILED, "not now"),
        ({"status": 404}, R.FAILED, "404"),
        ({"status": 503}, R.FAILED, "503"),
        ({"status": 500}, R.UNKNOWN, "whether it was carried out is unknown"),
        ({"cut": "reset", "after_bytes": 0}, R.UNKNOWN, "the connection broke"),
        ({"cut": "truncate"}, R.UNKNOWN, "the answer broke off"),
        ({"delay_s": 5.0}, R.UNKNOWN, "no answer within"),
        ({"replace": "html"}, R.UNKNOWN, "not JSON"),
        ({"body": "{}"}, R.UNKNOWN, "its answer has no cmd_id"),
    ],
)
async def test_C15_an_end_that_nobody_can_tell_is_unknown_and_nothing_is_repeated(evce, plant, fault, outcome, text):
    plant.add("evce", evce, kinds=quick(), total_s=1.5 if "delay_s" in fault else 10.0)
    async with plant.running():
        await up(plant)
        evce.faults.add("/stations/101/cmds/reset", **fault)
        await write(plant, (RESET, 1))
        await until(lambda: result(plant) is outcome)
        assert text in why(plant)
        await asyncio.sleep(0.2)
        assert len([item for item in evce.received if item.path.endswith("/cmds/reset")]) <= 1
        assert len(plant.alarms) == 1


async def test_C15_without_an_end_in_time_it_is_unknown(evce, plant):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        await write(plant, (RESET, 1))
        await until(lambda: posts(evce))
        plant.later(61)
        await until(lambda: result(plant) is R.UNKNOWN)
        assert why(plant) == "no end within 60 s: the product last said 'pending'"


async def test_C15_a_status_that_cannot_be_read_for_a_while_is_read_again(evce, plant):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        fault = evce.faults.add("/stations/101/cmds/status/*", status=503)
        await write(plant, (RESET, 1))
        await until(lambda: posts(evce))
        evce.clock.now += 3
        await asyncio.sleep(0.1)
        assert result(plant) is R.RUNNING
        evce.faults.remove(fault)
        await until(lambda: result(plant) is R.DONE)


async def test_C15_without_follow_a_good_answer_is_the_end(evce, plant):
    plant.add("evce", evce, kinds=quick(result=None, follow=None))
    async with plant.running():
        await up(plant)
        await write(plant, (RESET, 2))
        await until(lambda: result(plant) is R.DONE)
        assert posts(evce) == [(200, {"type": "Hard"})]


async def test_C15_refused_unread_for_its_session_it_is_sent_once_in_the_next(evce, plant):
    plant.add("evce", evce, kinds=quick(), factor=1.0)
    async with plant.running():
        await up(plant)
        await evce.do("revoke")
        await write(plant, (RESET, 1))
        await until(lambda: len(posts(evce)) == 2)
        await ended(plant, evce, R.DONE)
        assert posts(evce) == [(401, {"type": "Soft"}), (200, {"type": "Soft"})]
        assert len(evce.product.desk.commands) == 1


async def test_C15_refused_for_its_session_twice_it_has_failed(evce, plant):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        evce.faults.add("/stations/101/cmds/reset", status=401)
        await write(plant, (RESET, 1))
        await until(lambda: result(plant) is R.FAILED)
        assert why(plant).startswith("not carried out: ")
        assert len(evce.product.desk.commands) == 0


@pytest.mark.parametrize("trouble", ["duplicate", "gone", "away"])
async def test_C15_nothing_is_kept_for_later(evce, plant, trouble):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        if trouble == "duplicate":
            await evce.do("duplicate_name", kind="station", name="Bay 001", other="Bay 002")
        elif trouble == "gone":
            await evce.do("delete", kind="station", name="Bay 001")
        else:
            await evce.do("down", seconds=30)
        await until(lambda: plant.actions._performer.obstacle(plant.resource("station", "Bay 001")))
        with pytest.raises(CommandRejected, match="not sent, and not kept for later: ") as refused:
            await write(plant, (RESET, 1))
        assert refused.value.reject is Reject.INHIBITED
        await write(plant, (RESET, 0))
        assert (plant.value(RESET), result(plant)) == (0, R.NEVER_RUN)
        evce.clock.now += 60
        await asyncio.sleep(0.2)
        assert posts(evce) == []


async def test_C15_the_journal_has_it_before_the_product(evce, plant, monkeypatch):
    monkeypatch.setattr(actions, "JOURNAL_TRY_S", 0.01)
    plant.add("evce", evce, kinds=quick())
    key = "evce/station/0/reset"
    async with plant.running():
        await up(plant)
        plant.journal.hang = True
        await write(plant, (RESET, 1))
        await asyncio.sleep(0.1)
        assert posts(evce) == []
        plant.journal.hang = False
        await until(lambda: posts(evce))
        assert plant.journal.restored()[key] == {"code": 1, "result": 1, "text": ""}
        await ended(plant, evce, R.DONE)
        assert plant.journal.restored()[key] == {"code": 1, "result": 2, "text": ""}


async def test_C15_a_disk_that_takes_nothing_stops_it(evce, plant, monkeypatch):
    monkeypatch.setattr(actions, "JOURNAL_TRY_S", 0.001)
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        plant.journal.hang = True
        await write(plant, (RESET, 1))
        await until(lambda: result(plant) is R.FAILED)
        assert why(plant) == "not sent: it could not be journaled first: the disk does not answer"
        assert posts(evce) == []


async def test_C15_after_a_restart_it_is_unknown_and_the_code_still_stands(evce, plant):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        await write(plant, (RESET, 1))
        await until(lambda: posts(evce))
    again = Plant()
    again.journal = plant.journal
    again.actions = ActionDesk(again.table, again.clock, again.journal, again.alarms)
    again.desk._actions = again.actions
    again.tokens = plant.tokens
    again.add("evce", evce, kinds=quick())
    async with again.running():
        await up(again)
        assert (again.value(RESET), result(again)) == (1, R.UNKNOWN)
        assert "the gateway was restarted" in why(again)
        assert len(again.alarms) == 1
        await write(again, (RESET, 1))
        await asyncio.sleep(0.1)
        assert len(posts(evce)) == 1, "a client that writes in a cycle does not fire it again"
        await write(again, (RESET, 0))
        await write(again, (RESET, 1))
        await ended(again, evce, R.DONE)
        assert len(posts(evce)) == 2
        assert not again.alarms
    third = ActionDesk(again.table, again.clock, again.journal, again.alarms)
    third.learn(again.resource("station", "Bay 001"))
    assert (again.value(RESET), result(again)) == (1, R.DONE), "an end that was known stays known"


async def test_C15_an_alarm_stands_over_restarts_until_somebody_writes(evce, plant):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        evce.faults.add("/stations/101/cmds/reset", status=400)
        await write(plant, (RESET, 1))
        await until(lambda: result(plant) is R.FAILED)
        texts = list(plant.alarms.texts().values())
        for _ in range(2):
            alarms = Alarms()
            later = ActionDesk(plant.table, plant.clock, plant.journal, alarms)
            later.learn(plant.resource("station", "Bay 001"))
            assert list(alarms.texts().values()) == texts
        await later.accept([Ask(plant.index(RESET), 0, 10)], BMS)
        assert not alarms


async def test_C13_dry_run_shows_what_would_leave_and_sends_nothing(both):
    plant = Plant(replace(POLICY, dry_run=True))
    plant.add("evce", both, kinds=quick(both.dialect))
    async with plant.running():
        await up(plant)
        await write(plant, (RESET, 2))
        body = BODIES[both.dialect][1]["type"]
        assert why(plant) == f'dry run, would send POST /stations/101/cmds/reset {{"type": "{body}"}}'
        assert result(plant) is R.NEVER_RUN
        await asyncio.sleep(0.1)
        assert posts(both) == []
        assert plant.journal.restored() == {} or "evce/station/0/reset" not in plant.journal.restored()


async def test_C15_a_read_only_gateway_refuses(evce):
    plant = Plant(replace(POLICY, read_only=True))
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        with pytest.raises(CommandRejected) as refused:
            await write(plant, (RESET, 1))
        assert refused.value.reject is Reject.READ_ONLY


async def test_C15_the_evidence_names_who_asked_and_what_the_product_said(evce, plant):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        who = Origin("bacnet", "10.0.0.9")
        await write(plant, (RESET, 1), origin=who)
        await ended(plant, evce, R.DONE)
        assert [(e.event, e.origin, e.old, e.new, e.answer) for e in plant.journal.evidence if e.point == RESET] == [
            ("accepted", who, "0", "1", ""),
            ("sent", who, "", "1", "200 {'cmd_id': 1}"),
            ("done", who, "", "1", ""),
        ]


async def test_every_station_action_of_the_shipped_mappings_is_what_the_product_takes(both, plant):
    plant.add("evce", both, kinds=quick(both.dialect))
    station = "evce/station/Bay 001"
    async with plant.running():
        await up(plant)
        both.site.traffic.expel(both.site.station("Bay 001"), both.site.now)
        for name, code in (
            ("change_availability", 2),
            ("change_availability", 0),
            ("change_availability", 1),
            ("remote_start", 1),
            ("remote_stop", 1),
            ("reset", 2),
        ):
            point = f"{station}/{name}"
            await write(plant, (point, code))
            if code:
                await ended(plant, both, R.DONE, point)
                assert plant.value(f"{station}/{name}") == code
        sent = [item.status for item in both.received if "/cmds/" in item.path]
        assert sent == [200] * 5


@pytest.mark.parametrize(("code", "reject"), [("soft", Reject.TYPE), (7, Reject.RANGE)])
async def test_a_code_that_is_none_is_told_with_the_codes_and_what_they_send(evce, plant, code, reject):
    plant.add("evce", evce, kinds=quick())
    async with plant.running():
        await up(plant)
        with pytest.raises(CommandRejected) as refused:
            await write(plant, (RESET, code))
        assert refused.value.reject is reject
        assert "1 Soft, 2 Hard, and 0 between" in str(refused.value)
        start = RESET.replace("reset", "remote_start")
        with pytest.raises(CommandRejected, match=": 1, 2, and 0 between them"):
            await write(plant, (start, "x"))
