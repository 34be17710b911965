"""Points whose commands leave in one request: per-phase limits of a product that takes all three at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.errors import Refused
from gateway.core.lease import GroupTerms, Loss
from gateway.core.priority import Origin
from gateway.engine.poller import Poller
from gateway.engine.ports import Ask, Written
from gateway.mapping import load_mapping
from gateway.sources.bodies import Times, fill_body
from tests.engine.limits import pass_time
from tests.engine.lives import alarms, died
from tests.engine.rig import Plant, faster, until

S = WriteStatus
NOW = Times(0.0, None)
BMS = Origin("modbus", "10.0.0.5", "bms")
PHASE = """{{from: limits, path: "{name}", unit: A, range: [0, 32], command: {{put: "/limits",
        body: {{l1: "{{point:l1}}", l2: "{{point:l2}}", l3: "{{point:l3}}"}}, release: {{off: true}},
        none_when: "off", together: [l1, l2, l3]}}}}"""
MAPPING = """
product: evce
resources:
  box:
    reads: {limits: {get: "/limits", every: 1s}}
    points:
""" + "".join(f"      {name}: {PHASE.format(name=name)}\n" for name in ("l1", "l2", "l3"))


class Box:
    """A product that holds three limits, or none."""

    name, session_number, session_age_s, certificate, certificate_ends = "box", 1, 1.0, None, None
    needs_request = renewal_due = False

    def __init__(self) -> None:
        self.held: dict[str, Any] = {"off": True}
        self.bodies: list[Any] = []
        self.refusal: Refused | None = None
        self.ignores = ""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def renew(self) -> None: ...

    async def read(self, _spec: Any, _path_values: Any) -> Any:
        return dict(self.held)

    async def write(self, request: Any) -> Written:
        template = request.command.release if request.release else request.command.body
        body = fill_body(template, dict(request.values), NOW)
        self.bodies.append(body)
        if self.refusal is not None:
            raise self.refusal
        kept = {key: value for key, value in self.held.items() if key == self.ignores}
        self.held = {**body, **kept}
        return Written(None, "200")

    def preview(self, request: Any) -> str:
        return str(fill_body(request.command.body, dict(request.values), NOW))

    def product_clock(self) -> float | None:
        return None


@pytest.fixture
def kinds(tmp_path: Path) -> list[Any]:
    (tmp_path / "box.yaml").write_text(MAPPING)
    mapping, faults = load_mapping(tmp_path / "box.yaml")
    assert mapping is not None, faults
    return faster(list(mapping.product.kinds.values()), 0.02)


def connected(plant: Plant, box: Box, kinds: list[Any]) -> Plant:
    plant.sources["box"], plant.kinds["box"] = box, kinds
    plant.intake.learn(kinds)
    plant.pollers["box"] = Poller(
        box,
        kinds,
        table=plant.table,
        inventory=plant.inventory,
        intake=plant.intake,
        derivations=plant.derivations,
        clock=plant.clock,
        parallel=1,
        exclude=(),
        on_lost=plant.desk.lost,
    )
    plant.inventory.single("box", kinds[0])
    return plant


async def ask(plant: Plant, origin: Origin = BMS, slot: int = 10, **limits: float | None) -> None:
    asks = [Ask(plant.index(f"box/box/{name}"), value, slot) for name, value in limits.items()]
    await plant.desk.submit(asks, origin)


def receipt(plant: Plant, part: str) -> list[Any]:
    return [plant.sample(f"box/box/{name}.{part}").value for name in ("l1", "l2", "l3")]


async def all_show(plant: Plant, status: WriteStatus) -> None:
    await until(lambda: receipt(plant, "write_status") == [status] * 3)


async def up(plant: Plant) -> None:
    await until(lambda: None not in receipt(plant, "applied"))


async def test_together_is_one_put_verified_member_by_member_and_released_when_all_are_empty(plant, kinds):
    box = Box()
    async with connected(plant, box, kinds).running():
        await up(plant)
        await ask(plant, l1=16.0, l3=10.0)
        await all_show(plant, S.IN_FORCE)
        assert box.bodies == [{"l1": 16.0, "l2": 32.0, "l3": 10.0}]
        assert receipt(plant, "applied") == [16.0, 32.0, 10.0]
        assert receipt(plant, "authority") == [Authority.CONTROLLED, Authority.AUTONOMOUS, Authority.CONTROLLED]
        assert receipt(plant, "winner") == [10, 0, 10]
        plant.clock.added += 3
        await ask(plant, l1=None)
        await until(lambda: len(box.bodies) == 2)
        await all_show(plant, S.IN_FORCE)
        assert box.bodies[1] == {"l1": 32.0, "l2": 32.0, "l3": 10.0}
        plant.clock.added += 3
        await ask(plant, l3=None)
        await all_show(plant, S.IDLE)
        assert box.bodies[2:] == [{"off": True}]
        assert receipt(plant, "applied") == [32.0] * 3
        await pass_time(plant, 20, step=2)
        assert len(box.bodies) == 3


async def test_together_differs_as_a_whole_when_one_member_does(plant, kinds):
    box = Box()
    box.held, box.ignores = {"l1": 32.0, "l2": 32.0, "l3": 32.0}, "l2"
    async with connected(plant, box, kinds).running():
        await up(plant)
        await ask(plant, l1=16.0, l2=16.0, l3=16.0)
        await pass_time(plant, 18)
        await all_show(plant, S.OVERRIDDEN)
        assert receipt(plant, "error_text") == ["l2: upstream says 32.0"] * 3
        assert len(box.bodies) == 3
        box.ignores = ""
        await pass_time(plant, 90, step=2)
        await all_show(plant, S.IN_FORCE)


async def test_together_refused_is_8_for_all_and_one_request(plant, kinds):
    box = Box()
    box.refusal = Refused("400 'no'", 400)
    async with connected(plant, box, kinds).running():
        await up(plant)
        await ask(plant, l1=16.0)
        await all_show(plant, S.REJECTED)
        await pass_time(plant, 20, step=2)
        assert len(box.bodies) == 1


async def test_together_somebody_tightens_one_phase_and_all_are_left_alone(plant, kinds):
    box = Box()
    async with connected(plant, box, kinds).running():
        await up(plant)
        await ask(plant, l1=16.0, l2=16.0)
        await all_show(plant, S.IN_FORCE)
        box.held["l3"] = 6.0
        await pass_time(plant, 18)
        await all_show(plant, S.OVERRIDDEN)
        await pass_time(plant, 60, step=2)
        assert len(box.bodies) == 1
        assert len(plant.alarms) == 3


async def test_together_a_writer_that_dies_is_failsafe_in_its_own_members_alone(kinds):
    box = Box()
    plant = Plant(groups={"modbus/bms": GroupTerms(60.0, Loss("value", 6.0)), "bacnet": GroupTerms()})
    async with connected(plant, box, kinds).running():
        await up(plant)
        await ask(plant, l1=16.0, l2=16.0)
        await ask(plant, Origin("bacnet", "x"), l3=20.0)
        plant.clock.added += 61
        plant.desk.tick()
        await until(lambda: box.held == {"l1": 6.0, "l2": 6.0, "l3": 20.0})
        await all_show(plant, S.IN_FORCE)
        assert receipt(plant, "authority") == [Authority.FAILSAFE, Authority.FAILSAFE, Authority.CONTROLLED]


async def test_together_over_a_restart(plant, kinds):
    box = Box()
    async with connected(plant, box, kinds).running():
        await up(plant)
        await ask(plant, l1=16.0, l2=12.0)
        await all_show(plant, S.IN_FORCE)
    born = connected(Plant(journal=died(plant)), box, kinds)
    async with born.running():
        await all_show(born, S.IN_FORCE)
        assert receipt(born, "requested") == [16.0, 12.0, None]
        assert len(box.bodies) == 1
        await ask(born, l1=None, l2=None)
        last = connected(Plant(journal=died(born)), box, kinds)
    async with last.running():
        await until(lambda: box.held == {"off": True})
        await all_show(last, S.IDLE)
        assert alarms(last) == []


async def test_together_a_storm_over_all_members_is_one_put_per_two_seconds(plant, kinds):
    box = Box()
    async with connected(plant, box, kinds).running():
        await up(plant)
        for n in range(100):
            await ask(plant, **{("l1", "l2", "l3")[n % 3]: 10.0 + n % 20})
            await asyncio.sleep(0.002)
        plant.clock.added += 3
        await ask(plant, l1=7.0, l2=8.0, l3=9.0)
        await until(lambda: box.held == {"l1": 7.0, "l2": 8.0, "l3": 9.0})
        assert len(box.bodies) <= 4
