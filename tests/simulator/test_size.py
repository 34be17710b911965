import time

from gateway.simulator.dialect_desc import DescDialect
from gateway.simulator.dialect_nested import NestedDialect
from gateway.simulator.exchange import Answer
from gateway.simulator.site import Site

BUDGET_S = 0.030


def test_a_thousand_stations_render_in_time():
    site = Site(stations=1000, zones=100, meters=50, seed=3, now=0.0)
    assert (len(site.stations), len(site.zones), len(site.meters)) == (1000, 100, 50)
    assert [zone.name for zone in site.zones.values()][25:28] == ["Zone Z", "Zone 27", "Zone 28"]
    assert all(len(zone.stations) == 10 for zone in site.zones.values())
    for dialect in (DescDialect(), NestedDialect()):
        best = 1.0
        for _ in range(5):
            site.advance(site.now + 5)
            start = time.process_time()
            Answer(200, dialect.statuses(site)).body()
            best = min(best, time.process_time() - start)
        assert best < BUDGET_S


def test_half_a_day_passes_quickly():
    site = Site(stations=1000, zones=100, meters=50, seed=3, now=0.0)
    start = time.process_time()
    site.advance(43_200)
    assert time.process_time() - start < 20
    assert 200 < sum(station.visit is not None for station in site.stations.values()) < 900
