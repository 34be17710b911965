"""The observatory stays small and counts right, whoever comes."""

from __future__ import annotations

from gateway.core.hints import HINTS, Extents, Finding, Place
from gateway.core.hints.finding import CLEAR_S
from gateway.engine.observatory import MOST_CLIENTS, MOST_UNMAPPED, RATE_S, Observatory


class HandClock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def test_the_client_that_was_silent_longest_makes_room() -> None:
    clock = HandClock()
    observatory = Observatory(clock)
    for number in range(MOST_CLIENTS):
        clock.now += 1
        observatory.client("modbus", f"10.0.1.{number}", "bms")
    observatory.client("modbus", "10.0.1.0")
    observatory.client("bacnet", "10.0.1.1")
    assert len(observatory) == MOST_CLIENTS
    assert observatory.known("modbus", "10.0.1.1") is None
    kept = observatory.known("modbus", "10.0.1.0")
    assert kept is not None
    assert kept.group == "bms"


def test_totals_outlive_a_client_that_was_forgotten() -> None:
    observatory = Observatory(HandClock())
    for number in range(MOST_CLIENTS + 10):
        client = observatory.client("modbus", str(number))
        observatory.count(client, "3", 5)
        observatory.refused(client, "2", 1)
    assert observatory.requests == {("modbus", "3"): 5 * (MOST_CLIENTS + 10)}
    assert observatory.refusals == {("modbus", "2"): MOST_CLIENTS + 10}


def test_unmapped_addresses_are_kept_within_bounds_the_newest_of_them() -> None:
    client = Observatory(HandClock()).client("modbus", "10.0.0.8")
    for register in range(MOST_UNMAPPED + 5):
        client.missed(f"register {register}")
    client.missed(f"register {MOST_UNMAPPED}")
    assert len(client.unmapped) == MOST_UNMAPPED
    assert "register 4" not in client.unmapped
    assert client.unmapped[f"register {MOST_UNMAPPED}"] == 2


def test_a_rate_is_that_of_the_last_ten_seconds() -> None:
    observatory = Observatory(HandClock())
    client = observatory.client("modbus", "10.0.0.8")
    for second in range(2 * RATE_S + 1):
        observatory.tick()
        observatory.count(client, "3", 30 if second < RATE_S else 10)
        if second == RATE_S - 2:
            assert client.per_s("requests") == 0.0
    assert observatory.clients()[0]["per_s"] == 10.0


def test_a_hint_is_counted_when_it_comes_and_goes_after_its_cause() -> None:
    clock = HandClock()
    observatory = Observatory(clock)
    client = observatory.client("modbus", "10.0.0.8")
    for _ in range(3):
        observatory.tell(client, Finding("coils", "uses coils"))
    observatory.tell(client, None)
    assert observatory.given == {"coils": 1}
    assert [(row["client"], row["id"], row["times"]) for row in observatory.hints()] == [("10.0.0.8", "coils", 3)]
    assert observatory.standing() == dict.fromkeys(HINTS, 0) | {"coils": 1}
    clock.now += CLEAR_S
    observatory.tick()
    assert observatory.hints() == []


def test_the_map_is_asked_again_only_when_it_has_changed() -> None:
    asked: list[int] = []
    number = 7

    def places() -> Extents:
        asked.append(number)
        return Extents([(1, Place(number, 1, "bool", "x", False))])

    observatory = Observatory(HandClock(), places=places, map_hash=lambda: number)
    assert observatory.extents.at(1, 7) is not None
    assert observatory.extents.at(1, 8) is None
    number = 8
    observatory.tick()
    assert observatory.extents.at(1, 8) is not None
    observatory.tick()
    assert asked == [7, 8]


def test_a_server_that_is_gone_is_asked_no_more() -> None:
    ticks: list[float] = []
    observatory = Observatory(HandClock())
    observatory.on_tick(ticks.append)
    observatory.tick()
    observatory.off_tick(ticks.append)
    observatory.off_tick(ticks.append)
    observatory.tick()
    assert ticks == [100.0]
