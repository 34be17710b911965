"""What an operator corrects: every way out of a swap, an import with renames, and what is gone for good."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.addressing import AddressBook, Entry, Match
from gateway.addressing.corrections import confirm, forget, pin, rename, waiting
from gateway.core.errors import CorrectionRefused

INNER = {"station": ["evse"], "evse": ["connector"]}
POOLS = {"evce": "p"}


def book(*rows: tuple[str, str | None]) -> AddressBook:
    return AddressBook([Entry("evce", "station", name, ident, i) for i, (name, ident) in enumerate(rows)], POOLS)


def assign(addresses: AddressBook, *listed: tuple[str, str]) -> list[tuple[Match, int | None]]:
    found = addresses.assign("evce", "station", listed, 50)
    return [(item.match, item.entry.block if item.entry else None) for item in found]


def names(addresses: AddressBook, kind: str = "station") -> dict[str, int]:
    return {entry.name: entry.block for entry in addresses.of("evce", kind)}


def entry(addresses: AddressBook, name: str, kind: str = "station") -> Entry:
    found = addresses.find("evce", kind, name)
    assert found is not None
    return found


def with_connectors(addresses: AddressBook) -> AddressBook:
    """Two EVSEs each, one connector in the first."""
    for station in list(names(addresses)):
        for evse in ("1", "2"):
            addresses.reserve("evce", "evse", f"{station}#{evse}", 50)
        addresses.reserve("evce", "connector", f"{station}#1#1", 50)
    return addresses


def test_C14_confirm_makes_the_names_follow_the_ids() -> None:
    addresses = with_connectors(book(("A", "1"), ("B", "2"), ("C", "3")))
    swapped = [("1", "B"), ("2", "A"), ("3", "C")]
    assign(addresses, *swapped)
    confirmed, retired = confirm(addresses, waiting(addresses), INNER)
    assert ([e.name for e in confirmed], retired) == (["B", "A"], [])
    assert names(addresses) == {"B": 0, "A": 1, "C": 2}
    assert names(addresses, "evse") == {"B#1": 0, "B#2": 1, "A#1": 2, "A#2": 3, "C#1": 4, "C#2": 5}
    assert names(addresses, "connector") == {"B#1#1": 0, "A#1#1": 1, "C#1#1": 2}
    assert assign(addresses, *swapped) == [(Match.KNOWN, 0), (Match.KNOWN, 1), (Match.KNOWN, 2)]


def test_C14_confirming_one_confirms_all_that_changed_hands_with_it() -> None:
    addresses = book(("A", "1"), ("B", "2"), ("C", "3"), ("D", "4"), ("E", "5"))
    assign(addresses, ("1", "B"), ("2", "C"), ("3", "A"), ("4", "E"), ("5", "D"))
    confirm(addresses, [entry(addresses, "B")], INNER)
    assert names(addresses) == {"B": 0, "C": 1, "A": 2, "D": 3, "E": 4}
    assert [e.name for e in waiting(addresses)] == ["D", "E"]


def test_C14_confirm_where_an_id_is_gone_retires_the_block_whose_name_is_taken() -> None:
    addresses = book(("A", "1"), ("B", "2"), ("C", "3"))
    shifted = [("2", "A"), ("3", "B"), ("4", "C")]
    assert assign(addresses, *shifted)[2] == (Match.SWAPPED, None)
    _, retired = confirm(addresses, waiting(addresses), INNER)
    assert [(e.block, e.retired) for e in retired] == [(0, True)]
    assert assign(addresses, *shifted) == [(Match.KNOWN, 1), (Match.KNOWN, 2), (Match.NEW, 3)]
    again = AddressBook(copy.deepcopy(addresses.entries), POOLS)
    assert assign(again, *shifted, ("1", "Z"))[3] == (Match.NEW, 4), "neither name nor id nor block of it is left"


def test_I11_confirm_takes_over_the_new_type() -> None:
    addresses = book(("A", "1"))
    addresses.entries[0].guard, addresses.entries[0].new_guard = "current", "power"
    confirm(addresses, waiting(addresses), INNER)
    assert (addresses.entries[0].guard, addresses.entries[0].waits) == ("power", False)


def test_two_that_would_get_one_name_are_not_confirmed() -> None:
    addresses = book(("A", "1"), ("B", "2"), ("C", "3"))
    for one in addresses.entries[:2]:
        one.new_name = "C"
    before = copy.deepcopy(addresses.entries)
    with pytest.raises(CorrectionRefused, match="two resources would be named 'C'"):
        confirm(addresses, waiting(addresses), INNER)
    assert addresses.entries == before


@pytest.mark.parametrize("order", [("A", "B"), ("B", "A")])
def test_C14_pins_of_both_names_of_a_swap_end_clean(order: tuple[str, str]) -> None:
    addresses = book(("A", "1"), ("B", "2"))
    swapped = [("1", "B"), ("2", "A")]
    now = {"B": "1", "A": "2"}
    assign(addresses, *swapped)
    for name in order:
        assert entry(addresses, name).waits
        pin(addresses, entry(addresses, name), now[name])
        assert not entry(addresses, name).waits
        assign(addresses, *swapped)
    assert assign(addresses, *swapped) == [(Match.KNOWN, 1), (Match.KNOWN, 0)]
    assert waiting(addresses) == []


def test_C14_pins_of_a_rotation_end_clean_and_each_waits_for_its_own() -> None:
    addresses = book(("A", "1"), ("B", "2"), ("C", "3"))
    rotated = [("1", "B"), ("2", "C"), ("3", "A")]
    assign(addresses, *rotated)
    pin(addresses, entry(addresses, "A"), "3")
    assert (Match.KNOWN, 0) in assign(addresses, *rotated)
    assert [e.name for e in waiting(addresses)] == ["B", "C"]
    pin(addresses, entry(addresses, "C"), "2")
    assign(addresses, *rotated)
    assert [e.name for e in waiting(addresses)] == ["B"]
    pin(addresses, entry(addresses, "B"), "1")
    assert assign(addresses, *rotated) == [(Match.KNOWN, 1), (Match.KNOWN, 2), (Match.KNOWN, 0)]


def test_C14_a_pin_and_then_confirm_end_clean_as_well() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    swapped = [("1", "B"), ("2", "A")]
    assign(addresses, *swapped)
    pin(addresses, entry(addresses, "A"), "2")
    confirm(addresses, waiting(addresses), INNER)
    assert assign(addresses, *swapped) == [(Match.NEW, 1), (Match.KNOWN, 0)]
    assert assign(addresses, *swapped) == [(Match.KNOWN, 1), (Match.KNOWN, 0)]


def test_I06_rename_continues_the_block_and_retires_the_new_one() -> None:
    addresses = with_connectors(book(("A", "1"), ("B", "2")))
    imported = [("11", "Alpha"), ("12", "B")]
    assert assign(addresses, *imported) == [(Match.NEW, 2), (Match.REBOUND, 1)]
    addresses.reserve("evce", "evse", "Alpha#1", 50)
    addresses.reserve("evce", "evse", "Alpha#3", 50)
    retired = rename(addresses, entry(addresses, "A"), "Alpha", INNER)
    assert [(e.kind, e.name, e.block) for e in retired] == [("station", "Alpha", 2), ("evse", "Alpha#1", 4)]
    assert assign(addresses, *imported) == [(Match.KNOWN, 0), (Match.KNOWN, 1)]
    assert names(addresses, "evse") == {"Alpha#1": 0, "Alpha#2": 1, "B#1": 2, "B#2": 3, "Alpha#3": 5}
    assert names(addresses, "connector") == {"Alpha#1#1": 0, "B#1#1": 1}


def test_I06_rename_to_a_name_that_is_still_to_come() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assert rename(addresses, entry(addresses, "A"), "Alpha", INNER) == []
    assert assign(addresses, ("2", "B"), ("1", "A")) == [(Match.KNOWN, 1), (Match.NEW, 2)], "the old id is given up"
    assert assign(addresses, ("2", "B"), ("9", "Alpha"))[1] == (Match.NEW, 0)
    with pytest.raises(CorrectionRefused, match="has that name already"):
        rename(addresses, entry(addresses, "B"), "B", INNER)


def test_forget_takes_what_is_inside_along() -> None:
    addresses = with_connectors(book(("A", "1"), ("A#1", "2")))
    forgotten = forget(addresses, entry(addresses, "A"), INNER)
    assert [e.name for e in forgotten] == ["A", "A#1", "A#1#1", "A#2"]
    assert {e.kind for e in forgotten} == {"station", "evse", "connector"}
    left = [e for e in addresses.entries if not e.forgotten]
    assert [e.name for e in left] == ["A#1", "A#1#1", "A#1#2", "A#1#1#1"], "a station whose name looks like an EVSE"


# -- any history ----------------------------------------------------------------------------------------------------

NAME = st.sampled_from("ABCDE")
IDENT = st.sampled_from("123456")
ANSWER = st.lists(st.tuples(IDENT, NAME), max_size=5)
STEP = st.tuples(st.sampled_from(["list", "confirm", "pin", "rename", "forget", "restart"]), ANSWER, NAME, NAME, IDENT)


@settings(max_examples=400)
@given(st.lists(STEP, max_size=14))
def test_no_history_of_corrections_moves_reuses_or_loses_a_block(
    steps: list[tuple[str, list[tuple[str, str]], str, str, str]],
) -> None:
    addresses = book()
    retired: set[int] = set()
    for what, answer, name, other, ident in steps:
        before = {one.block for one in addresses.entries}
        chosen = addresses.find("evce", "station", name)
        try:
            if what == "list":
                addresses.assign("evce", "station", answer, 50)
            elif what == "confirm":
                confirm(addresses, waiting(addresses), INNER)
            elif what == "restart":
                addresses = AddressBook(copy.deepcopy(addresses.entries), POOLS)
            elif chosen is not None and what == "pin":
                pin(addresses, chosen, ident)
            elif chosen is not None and what == "rename":
                rename(addresses, chosen, other, INNER)
            elif chosen is not None and what == "forget":
                forget(addresses, chosen, INNER)
        except CorrectionRefused:
            pass
        blocks = [one.block for one in addresses.entries]
        assert len(blocks) == len(set(blocks)), "a block given twice"
        assert before <= set(blocks), "a block was lost"
        gone = {one.block for one in addresses.entries if one.retired}
        assert retired <= gone, "a retired block came back"
        retired = gone
        living = [one for one in addresses.entries if not one.retired]
        assert len({one.name for one in living}) == len(living), "a name on two blocks"
        ids = [one.id for one in living if one.id is not None]
        assert len(ids) == len(set(ids)), "an id on two blocks"
        assert all(addresses.find("evce", "station", one.name) is one for one in living)
    assert addresses.entries == AddressBook(copy.deepcopy(addresses.entries), POOLS).entries
