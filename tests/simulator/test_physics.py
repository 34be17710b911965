import pytest

from gateway.simulator import Reduction, Site
from gateway.simulator.allocation import allocate


def site(**sizes):
    return Site(**{"stations": 12, "zones": 3, "meters": 2, "seed": 1, "now": 0.0, **sizes})


@pytest.mark.parametrize("seed", range(8))
def test_sixty_percent_charge_at_the_start_and_each_zone_always_has_one(seed):
    model = site(seed=seed, stations=30)
    assert sum(station.visit is not None for station in model.stations.values()) == 18
    for second in range(0, 601, 10):
        model.advance(float(second))
        assert all(zone.charging >= 1 for zone in model.zones.values())


def test_result_does_not_depend_on_how_often_it_is_asked():
    often, once = site(), site()
    for second in range(1, 7200):
        often.advance(second)
    once.advance(7199)
    for name in ("Bay 001", "Bay 004", "Bay 007"):
        assert often.station(name).energy_wh == pytest.approx(once.station(name).energy_wh)
        assert often.station(name).status == once.station(name).status


def test_reduction_lowers_the_zone_within_two_seconds_and_only_that_zone():
    model = site()
    model.advance(10)
    zone, other = model.zone("Zone A"), model.zone("Zone B")
    before = other.current_a
    model.set_reduction(zone, Reduction("current", 6.0))
    model.advance(12)
    assert 5.9 <= max(zone.current_a) <= 6.0
    assert other.current_a == before
    waiting = [station.status for station in zone.stations if station.visit and station.visit.phase == "charging"]
    assert waiting.count("Charging") == 1
    assert set(waiting) <= {"Charging", "SuspendedEVSE"}


def test_zone_never_exceeds_its_limit_once_settled():
    model = site(stations=60, zones=2)
    zone = model.zone("Zone A")
    for step, limit in enumerate((250.0, 100.0, 37.0, 5.0, 0.0, 80.0)):
        model.set_reduction(zone, Reduction("current", limit))
        model.advance(model.now + 3)
        assert max(zone.current_a) <= limit + 1e-6, step


def test_reduction_ends_by_time():
    model = site()
    zone = model.zone("Zone A")
    model.set_reduction(zone, Reduction("current", 10.0, until_s=60.0), due=60.0)
    model.advance(59)
    assert zone.limit_a == 10
    model.advance(61)
    assert zone.reduction.kind == "none"
    assert zone.limit_a == zone.max_a


def test_energy_is_monotonic_and_meter_one_counts_everything():
    model = site(meters=4)
    model.advance(5)
    stations, meter = list(model.stations.values()), model.meter("Meter 1")
    first = sum(station.energy_wh for station in stations)
    shown = model.reading(meter).energy_wh
    last = [station.energy_wh for station in stations]
    for second in range(10, 20_000, 500):
        model.advance(second)
        current = [station.energy_wh for station in stations]
        assert all(new >= old for new, old in zip(current, last, strict=True))
        last = current
    assert model.reading(meter).energy_wh - shown == pytest.approx(sum(last) - first)
    assert model.reading(meter).power_w == pytest.approx(sum(station.power_w for station in stations))


def test_cars_come_and_go():
    model = site()
    seen = set()
    for second in range(0, 30_000, 5):
        model.advance(second)
        seen |= {station.status for station in model.stations.values()}
    assert seen >= {"Available", "Preparing", "Charging", "SuspendedEV", "Finishing"}


@pytest.mark.parametrize(
    ("limit", "wishes", "shares"),
    [
        (100, [16, 16], [16, 16]),
        (30, [16, 16], [15, 15]),
        (30, [10, 32], [10, 20]),
        (11, [16, 16], [11, 0]),
        (5.9, [16], [0]),
        (20, [32, 32, 32], [6.6, 6.6, 6.6]),
        (10, [], []),
    ],
)
def test_allocation(limit, wishes, shares):
    assert allocate(limit, wishes) == pytest.approx(shares)
