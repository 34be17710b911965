"""Virtual BACnet devices: who is given which, that nobody ever moves or shares, and where what lives inside stands."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.addressing import AddressBook, DevicePlan, Entry, Stand, devices
from gateway.addressing.builtin import GATEWAY_SOURCE, HEADER_KIND
from gateway.addressing.corrections import forget
from gateway.core.point import SOURCE_KIND

POOLS = {"north": "p", "south": "p"}
FIRST = 271000


def book(*entries: Entry) -> AddressBook:
    addresses = AddressBook(entries, POOLS)
    addresses.reserve(GATEWAY_SOURCE, HEADER_KIND, GATEWAY_SOURCE, 1)
    for name in POOLS:
        addresses.reserve(name, SOURCE_KIND, name, 40)
    return addresses


def entry(addresses: AddressBook, kind: str, name: str, source: str = "north") -> Entry:
    found = addresses.reserve(source, kind, name, 1 << 20)
    assert found is not None
    return found


def top(addresses: AddressBook, plan: DevicePlan, kind: str, name: str, source: str = "north") -> Stand | None:
    found = entry(addresses, kind, name, source)
    return plan.stand(found, found)


def test_one_device_for_everything() -> None:
    addresses = book()
    plan = DevicePlan(addresses)
    top(addresses, plan, "zone", "A")
    assert top(addresses, plan, "zone", "B") == Stand(None, 1)
    assert entry(addresses, "zone", "B").device is None


def test_each_resource_has_its_own_with_the_same_layout_in_each() -> None:
    addresses = book()
    plan = DevicePlan(addresses, FIRST)
    found = [top(addresses, plan, kind, name) for kind, name in (("zone", "A"), ("zone", "B"), ("station", "A"))]
    assert found == [Stand(FIRST, 0), Stand(FIRST + 1, 0), Stand(FIRST + 2, 0)]
    assert top(addresses, plan, "zone", "A", "south") == Stand(FIRST + 3, 0)
    assert top(addresses, plan, "zone", "B") == Stand(FIRST + 1, 0)


def test_the_gateways_own_stays_with_the_gateway() -> None:
    addresses = book()
    plan = DevicePlan(addresses, FIRST)
    source = addresses.find("south", SOURCE_KIND, "south")
    assert source is not None
    assert plan.stand(source, source) == Stand(None, 1)
    header = addresses.find(GATEWAY_SOURCE, HEADER_KIND, GATEWAY_SOURCE)
    assert header is not None
    assert plan.stand(header, header) == Stand(None, 0)


def test_what_lives_inside_stands_in_the_same_device() -> None:
    addresses = book()
    plan = DevicePlan(addresses, FIRST)
    bay, other = entry(addresses, "station", "Bay"), entry(addresses, "station", "Other")
    plugs = [entry(addresses, "plug", name) for name in ("Bay#1", "Other#1", "Bay#2")]
    owners = [bay, other, bay]
    stands = [plan.stand(plug, owner) for plug, owner in zip(plugs, owners, strict=True)]
    assert stands == [Stand(FIRST, 0), Stand(FIRST + 1, 0), Stand(FIRST, 1)]
    assert plan.stand(bay, bay) == Stand(FIRST, 0)
    assert plan.stand(plugs[0], None) == Stand(FIRST, 0)
    assert plan.stand(entry(addresses, "plug", "Lost#1"), None) is None


def test_a_device_outlives_its_owner_and_a_restart() -> None:
    addresses = book()
    plan = DevicePlan(addresses, FIRST)
    for name in "ABC":
        top(addresses, plan, "zone", name)
    forget(addresses, entry(addresses, "zone", "B"), {})
    again = book(*copy.deepcopy(addresses.entries))
    plan = DevicePlan(again, FIRST)
    assert top(again, plan, "zone", "D") == Stand(FIRST + 3, 0)
    assert top(again, plan, "zone", "B") == Stand(FIRST + 1, 0)


def test_another_first_instance_moves_all_of_them_alike() -> None:
    addresses = book()
    for name in "AB":
        top(addresses, DevicePlan(addresses, FIRST), "zone", name)
    assert top(addresses, DevicePlan(addresses, 5000), "zone", "B") == Stand(5001, 0)


def test_when_all_are_out_nobody_gets_anothers(monkeypatch) -> None:
    monkeypatch.setattr(devices, "MOST_DEVICES", 2)
    addresses = book()
    plan = DevicePlan(addresses, FIRST)
    assert [top(addresses, plan, "zone", name) for name in "ABC"] == [Stand(FIRST, 0), Stand(FIRST + 1, 0), None]
    inside = entry(addresses, "plug", "C#1")
    assert plan.stand(inside, entry(addresses, "zone", "C")) is None
    assert top(addresses, plan, "zone", "A") == Stand(FIRST, 0)


NAMES = st.sampled_from("ABCDE")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.tuples(NAMES, st.integers(0, 3)), st.none()), max_size=30))
def test_no_two_ever_stand_in_one_place_and_nobody_moves(steps: list[tuple[str, int] | None]) -> None:
    """Stations and what lives inside them come in any order, with restarts (None) in between."""
    addresses = book()
    plan = DevicePlan(addresses, FIRST)
    seen: dict[tuple[str, str], Stand] = {}
    for step in steps:
        if step is None:
            addresses = book(*copy.deepcopy(addresses.entries))
            plan = DevicePlan(addresses, FIRST)
            continue
        name, plug = step
        owner = entry(addresses, "station", name)
        one = owner if plug == 0 else entry(addresses, "plug", f"{name}#{plug}")
        stand = plan.stand(one, owner)
        assert stand is not None
        assert seen.setdefault((one.kind, one.name), stand) == stand
        places = [(kind, where.device, where.block) for (kind, _), where in seen.items()]
        assert len(set(places)) == len(places)
        homes = {place.device for (kind, label), place in seen.items() if label.split("#")[0] == name}
        assert len(homes) == 1
