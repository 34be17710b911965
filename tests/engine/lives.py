"""Gateways without a product whose writers come and go, and gateways that start again."""

from __future__ import annotations

from dataclasses import replace

from gateway.addressing import AddressBook
from gateway.core.lease import GroupTerms, Loss
from gateway.core.priority import Origin
from gateway.core.value import GOOD, Sample
from gateway.engine.setpoint import Limits, Policy
from tests.engine.memory_journal import MemoryJournal
from tests.engine.rig import POLICY, Clock, Plant, loaded

ZONE = "evce/zone/Zone A"
POINT = f"{ZONE}/reduction"
BMS = Origin("modbus", "10.0.0.5", "bms")
BACNET = Origin("bacnet", "10.0.0.9")
CLI = Origin("cli", "local", "ann")
HOLD, RELEASE = Loss("hold"), Loss("release")
PEOPLE = {"cli": GroupTerms(lease_s=0.0), "page": GroupTerms(lease_s=0.0)}


def leased(on_loss: Loss = HOLD, lease_s: float = 60.0, *, heartbeat: bool = False) -> dict[str, GroupTerms]:
    """One Modbus group with a lease; BACnet without one."""
    return {"modbus/bms": GroupTerms(lease_s, on_loss, heartbeat), "bacnet": GroupTerms(), **PEOPLE}


def offline(
    policy: Policy = POLICY,
    overrides: dict[str, Limits] | None = None,
    groups: dict[str, GroupTerms] | None = None,
    *,
    journal: MemoryJournal | None = None,
    clock: Clock | None = None,
    maximum: float | None = 250.0,
) -> Plant:
    """Two zones that were never read, but for their maximum; READY."""
    plant = Plant(policy, overrides, groups, journal, clock)
    plant.inventory.restore("evce", loaded("evce.yaml").kinds["zone"], ["Zone A", "Zone B"])
    plant.desk.connect(plant.intake, {})
    if maximum is not None:
        set_maximum(plant, maximum)
    plant.desk.tick()
    return plant


def set_maximum(plant: Plant, maximum: float) -> None:
    for zone in ("Zone A", "Zone B"):
        index = plant.index(f"evce/zone/{zone}/maximum")
        plant.table.update([(index, Sample(maximum, GOOD, "", plant.clock.monotonic()))])


def passes(plant: Plant, seconds: float) -> None:
    """Time passes, a second at a time."""
    for _ in range(round(seconds)):
        plant.clock.added += 1.0
        plant.desk.tick()


def died(plant: Plant) -> MemoryJournal:
    """What the disk holds after `kill -9`."""
    journal = MemoryJournal()
    journal.states = dict(plant.journal.states)
    return journal


def later(plant: Plant, seconds: float, *, boot: str = "this boot", synced: bool = True) -> Clock:
    """The clock of a gateway that starts `seconds` after `plant` died."""
    clock = Clock()
    clock.added, clock.boot, clock.synced = plant.clock.added + seconds, boot, synced
    return clock


def again(plant: Plant, sim: object, *, down_s: float = 0.0, **options: object) -> Plant:
    """A gateway on the same product and the same state, `down_s` after `plant` died; not running yet."""
    born = Plant(journal=died(plant), clock=later(plant, down_s), **options)
    born.book = AddressBook([replace(entry) for entry in plant.book.entries], {})
    born.inventory = born._inventory()
    born.intake = type(born.intake)(born.table, born.inventory, born.clock, born.desk.read_back)
    born.derivations = type(born.derivations)(born.table, born.inventory, born.clock)
    born.add("evce", sim, kinds=None)
    for kind in born.kinds["evce"]:
        born.inventory.restore("evce", kind, ())
    return born


def slot(plant: Plant, number: int = 10):
    return plant.desk.slots(plant.index(POINT))[number]


def limit(plant: Plant):
    return plant.sample(POINT).value


def alarms(plant: Plant) -> list[str]:
    """The kinds of trouble of Zone A's reduction that stand."""
    return sorted(key.split()[0] for key in plant.alarms.texts())
