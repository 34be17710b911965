"""Ids count only while the product's certificate is unchanged (DESIGN 6.5): a replaced EVCE continues by its names."""

from __future__ import annotations

from structlog.testing import capture_logs

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.value import CONFIG_ERROR
from gateway.engine.ports import Listed
from gateway.simulator import EvceSimulator
from tests.engine.rig import limit_of, loaded, puts, until
from tests.engine.test_restart import blocks, restarted, settled

ZONE = "evce/zone/Zone A"


def one(sim_clock, seed=1, tls=True, dialect="desc"):
    return EvceSimulator(tls=tls, stations=6, zones=2, meters=1, clock=sim_clock, seed=seed, dialect=dialect)


def renumbered(sim):
    """The same names on ids from 1 again, in another order."""
    site = sim.site
    names = [zone.name for zone in site.zones.values()]
    for zone, name in zip(site.zones.values(), reversed(names), strict=True):
        zone.name = name
    names = [station.name for station in site.stations.values()]
    for station, name in zip(site.stations.values(), [*names[1:], names[0]], strict=True):
        station.name = name


async def test_a_replaced_evce_that_counts_from_1_again_continues_under_the_same_names(sim_clock, plant):
    async with one(sim_clock) as first, one(sim_clock, seed=5) as second:
        plant.add("evce", first)
        async with plant.running():
            await settled(plant)
        before = blocks(plant)
        assert plant.book.certificates == {"evce": first.fingerprint}
        renumbered(second)
        again = await restarted(plant, second)
        with capture_logs() as lines:
            async with again.running():
                await settled(again)
                assert again.resource("zone", "Zone A").id == "2"
                assert again.authority() is Authority.AUTONOMOUS
                await again.ask(60.0)
                await until(lambda: again.status() is WriteStatus.IN_FORCE)
                assert limit_of(second, 2) == 60.0
                assert puts(second, 1) == []
        assert before.items() <= blocks(again).items()
        assert again.book.certificates == {"evce": second.fingerprint}
        told = [line for line in lines if line["event"] == "certificate.changed"]
        assert [line["reason"] for line in told] == ["certificate changed: 9 resources matched by name only"]
        assert not [line for line in lines if line["event"] in ("resource.replaced", "resource.inhibited")]


async def test_names_that_are_new_behind_another_certificate_get_new_blocks(sim_clock, plant):
    async with one(sim_clock) as first, one(sim_clock, seed=5) as second:
        plant.add("evce", first)
        async with plant.running():
            await settled(plant)
        second.site.zones[2].name = "Annex"
        again = await restarted(plant, second)
        async with again.running():
            await until(lambda: again.value("evce/zone/Annex/power") is not None)
            assert again.resource("zone", "Annex").block == 2, "id 2 was Zone B, and proves nothing"
            assert again.resource("zone", "Zone B").trouble == "not present"


async def test_C14_the_same_under_one_certificate_or_on_http_is_a_swap(sim_clock, plant):
    for tls in (True, False):
        plant = type(plant)()
        async with one(sim_clock, tls=tls) as first:
            plant.add("evce", first)
            async with plant.running():
                await settled(plant)
            assert bool(plant.book.certificates) is tls
            renumbered(first)
            again = await restarted(plant, first)
            async with again.running():
                await until(lambda a=again: a.quality(f"{ZONE}/power") is CONFIG_ERROR)
                assert again.authority() is Authority.INHIBITED


async def test_C07_a_certificate_that_changes_in_a_running_session_stops_every_put_until_read_again(evce, plant):
    plant.add("evce", evce)
    zone = next(kind for kind in loaded("evce.yaml").kinds.values() if kind.name == "zone")
    answer = [Listed("1", "Zone A", "current"), Listed("2", "Zone B", "current")]
    async with plant.running():
        await settled(plant)
        await until(lambda: plant.authority() is Authority.AUTONOMOUS)
        session = plant.sources["evce"].session_number
        plant.inventory.listed("evce", zone, answer, (), session, "sha256:aa")
        assert plant.authority() is Authority.AUTONOMOUS, "the first certificate is nothing new"
        assert plant.inventory.listed("evce", zone, answer, (), session, "sha256:bb")
        assert plant.authority() is Authority.INIT
        station = plant.resource("station", "Bay 001")
        assert (station.present, station.usable) == (False, False), "its own list has not come yet"
        assert plant.resource("zone", "Zone A").usable
        await until(lambda: plant.authority() is Authority.AUTONOMOUS)
        await until(lambda: station.usable)
