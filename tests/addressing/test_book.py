"""The address book: the four rules, capacity, pools, and that no block ever moves."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.addressing import AddressBook, Entry, Match
from gateway.core.errors import ConfigError
from gateway.core.point import SOURCE_KIND

POOLS = {"evce": "p"}


def book(*rows: tuple[str, str | None], pools: dict[str, str] = POOLS) -> AddressBook:
    """Zones of evce: (name, id) in order of their blocks."""
    return AddressBook([Entry("evce", "zone", name, ident, i) for i, (name, ident) in enumerate(rows)], pools)


ID_AND_NAME = {("1", "A"), ("2", "B"), ("3", "C")}


def owners(addresses: AddressBook) -> list[tuple[str, str | None, int]]:
    return [(entry.name, entry.id, entry.block) for entry in addresses.entries]


def assign(addresses: AddressBook, *listed: tuple[str, str], capacity: int = 10) -> list[tuple[Match, int | None]]:
    found = addresses.assign("evce", "zone", listed, capacity)
    assert [(item.id, item.name) for item in found] == list(listed)
    return [(item.match, item.entry.block if item.entry else None) for item in found]


def test_new_names_get_blocks_in_the_order_of_the_list() -> None:
    addresses = book()
    assert assign(addresses, ("7", "Zone B"), ("3", "Zone A")) == [(Match.NEW, 0), (Match.NEW, 1)]
    assert addresses.dirty
    assert assign(addresses, ("3", "Zone A"), ("7", "Zone B")) == [(Match.KNOWN, 1), (Match.KNOWN, 0)]


def test_rule_1_id_and_name_change_nothing() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assert assign(addresses, ("1", "A"), ("2", "B")) == [(Match.KNOWN, 0), (Match.KNOWN, 1)]
    assert not addresses.dirty


def test_I02_rule_2_same_name_and_the_old_id_gone_is_bound_again() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assert assign(addresses, ("9", "A"), ("2", "B")) == [(Match.REBOUND, 0), (Match.KNOWN, 1)]
    assert [(entry.name, entry.id) for entry in addresses.entries] == [("A", "9"), ("B", "2")]
    assert addresses.dirty


def test_I04_rule_3_same_id_and_a_new_name_keeps_the_block() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assert assign(addresses, ("1", "Hall"), ("2", "B")) == [(Match.RENAMED, 0), (Match.KNOWN, 1)]
    assert [entry.name for entry in addresses.entries] == ["Hall", "B"]
    assert assign(addresses, ("1", "Hall")) == [(Match.KNOWN, 0)]


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("1B 2A 3C", "S0 S1 K2"),
        ("1B 2C 3A", "S0 S1 S2"),
        ("1B 2D 3C", "S0 S1 K2"),
        ("2A 3B 4C", "S1 S2 S-"),
    ],
    ids=["swap", "rotation", "taken over", "shifted ids"],
)
def test_C14_I10_rule_4_blocks_follow_ids_and_nothing_changes(listed: str, found: str) -> None:
    addresses = book(("A", "1"), ("B", "2"), ("C", "3"))
    before = owners(addresses)
    letters = {Match.SWAPPED: "S", Match.KNOWN: "K"}
    result = assign(addresses, *((item[0], item[1]) for item in listed.split()))
    assert " ".join(letters[match] + ("-" if block is None else str(block)) for match, block in result) == found
    assert owners(addresses) == before
    said = {item[0]: item[1] for item in listed.split()}
    waiting = {entry.id: entry.new_name for entry in addresses.entries if entry.waits}
    assert waiting == {
        ident: name for ident, name in said.items() if (ident, name) not in ID_AND_NAME and ident in "123"
    }
    assert addresses.dirty, "what waits outlives the process"


def test_C14_a_swap_stays_inhibited_while_one_of_its_ids_is_gone() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assign(addresses, ("1", "B"), ("2", "A"))
    assert assign(addresses, ("1", "B")) == [(Match.SWAPPED, 0)], "half an answer does not resolve it"
    assert assign(addresses, ("2", "A")) == [(Match.SWAPPED, 1)]
    assert assign(addresses, ("1", "C")) == [(Match.SWAPPED, 0)], "another name does not either"
    assert assign(addresses, ("11", "B"), ("12", "A")) == [(Match.SWAPPED, 1), (Match.SWAPPED, 0)], "nor new ids"
    again = AddressBook(copy.deepcopy(addresses.entries), POOLS)
    assert assign(again, ("11", "B"), ("12", "A")) == [(Match.SWAPPED, 1), (Match.SWAPPED, 0)]


def test_C14_an_excluded_name_takes_part_in_a_swap() -> None:
    addresses = book(("A", "1"), ("Spare", "5"))
    found = addresses.assign("evce", "zone", [("5", "A")], 10, hidden={"1"})
    assert [(item.match, item.entry and item.entry.block) for item in found] == [(Match.SWAPPED, 1)]


def test_another_certificate_makes_names_count_only() -> None:
    addresses = book(("A", "1"), ("B", "2"), ("#3", "3"))
    assert not addresses.certify("evce", "sha256:aa")
    assert not addresses.certify("evce", None), "plain http says nothing"
    assert not addresses.certify("evce", "sha256:aa")
    assert assign(addresses, ("1", "A"), ("2", "B"), ("3", "#3"))[2] == (Match.KNOWN, 2)
    assert addresses.certify("evce", "sha256:bb")
    found = assign(addresses, ("1", "B"), ("2", "A"), ("3", "#3"), ("4", "C"))
    assert found == [(Match.NEW, 1), (Match.NEW, 0), (Match.SWAPPED, 2), (Match.NEW, 3)]
    assert [(entry.name, entry.id) for entry in addresses.entries][:2] == [("A", "2"), ("B", "1")]
    assert addresses.certificates == {"evce": "sha256:bb"}


def test_I06_a_forgotten_name_comes_back_to_its_block() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    addresses.entries[0].forgotten, addresses.entries[0].id = True, None
    assert assign(addresses, ("1", "C"), ("2", "B")) == [(Match.NEW, 2), (Match.KNOWN, 1)], "its id was given up"
    assert assign(addresses, ("1", "C"), ("2", "B"), ("9", "A"))[2] == (Match.NEW, 0)
    assert not addresses.entries[0].forgotten


def test_I08_a_name_that_comes_later_keeps_the_block_of_the_id() -> None:
    addresses = book()
    assert assign(addresses, ("7", "#7")) == [(Match.NEW, 0)]
    assert assign(addresses, ("7", "Zone A")) == [(Match.RENAMED, 0)]


def test_I05_every_id_new_is_bound_by_name() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assert assign(addresses, ("11", "A"), ("12", "B")) == [(Match.REBOUND, 0), (Match.REBOUND, 1)]


def test_I06_import_with_renames() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assert assign(addresses, ("11", "A"), ("12", "Beta")) == [(Match.REBOUND, 0), (Match.NEW, 2)]
    assert [(entry.name, entry.block) for entry in addresses.entries] == [("A", 0), ("B", 1), ("Beta", 2)]


def test_I07_equal_names_are_both_wrong_and_nothing_is_picked() -> None:
    addresses = book(("A", "1"))
    found = assign(addresses, ("1", "A"), ("9", "A"), ("2", "B"))
    assert found == [(Match.DUPLICATE, None), (Match.DUPLICATE, None), (Match.NEW, 1)]
    assert addresses.entries[0] == Entry("evce", "zone", "A", "1", 0)


def test_equal_ids_are_both_wrong_too() -> None:
    addresses = book(("A", "1"))
    assert assign(addresses, ("1", "A"), ("1", "B")) == [(Match.DUPLICATE, None), (Match.DUPLICATE, None)]
    assert [(entry.name, entry.id) for entry in addresses.entries] == [("A", "1")]


def test_an_id_belongs_to_one_entry() -> None:
    addresses = book(("B", "2"), ("A", "1"))
    assert assign(addresses, ("1", "B")) == [(Match.REBOUND, 0)], "2 is gone, and its name lives on under 1"
    assert [(entry.name, entry.id) for entry in addresses.entries] == [("B", "1"), ("A", None)]
    assert assign(addresses, ("1", "Hall")) == [(Match.RENAMED, 0)], "the block of B, not the old one of A"


def test_I09_case_space_and_unicode_form_make_other_names() -> None:
    names = ["Zone", "zone", "Zone ", "Caf\u00e9", "Cafe\u0301"]
    assert assign(book(), *((str(i), name) for i, name in enumerate(names))) == [(Match.NEW, i) for i in range(5)]


def test_I12_full_touches_nothing_that_exists() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assert assign(addresses, ("1", "A"), ("2", "B"), ("3", "C"), capacity=2)[2] == (Match.FULL, None)
    assert [entry.name for entry in addresses.entries] == ["A", "B"]
    assert not addresses.dirty
    assert assign(addresses, ("3", "C"), capacity=3) == [(Match.NEW, 2)], "more capacity gives the next block"


def test_I03_a_deleted_resource_keeps_its_block() -> None:
    addresses = book(("A", "1"), ("B", "2"))
    assert assign(addresses, ("2", "B"), ("3", "C")) == [(Match.KNOWN, 1), (Match.NEW, 2)]
    assert assign(addresses, ("8", "A")) == [(Match.REBOUND, 0)]


def test_what_is_expected_is_reserved_in_order_and_found_by_name() -> None:
    addresses = book()
    assert [addresses.reserve("evce", "zone", name, 2) for name in ("A", "B", "C")][2] is None
    assert assign(addresses, ("5", "B"), ("6", "A")) == [(Match.NEW, 1), (Match.NEW, 0)]
    entry = addresses.reserve("evce", "zone", "B", 2)
    assert entry is not None
    assert (entry.block, entry.id) == (1, "5")
    assert [item.name for item in addresses.of("evce", "zone")] == ["A", "B"]


def test_I13_sources_of_one_family_share_a_pool_and_others_do_not() -> None:
    addresses = AddressBook([], {"one": "p", "two": "p", "other": "q"})
    for source in ("one", "two", "other"):
        addresses.assign(source, "zone", [("1", "A"), ("2", "B")], 10)
    blocks = {(entry.source, entry.name): entry.block for entry in addresses.entries}
    assert [blocks["one", "A"], blocks["two", "A"], blocks["one", "B"], blocks["two", "B"]] == [0, 2, 1, 3]
    assert [blocks["other", "A"], blocks["other", "B"]] == [0, 1]


def test_every_source_has_its_block_of_the_built_in_kind() -> None:
    addresses = AddressBook([], {"one": "p", "two": "q"})
    entries = [addresses.reserve(name, SOURCE_KIND, name, 40) for name in ("one", "two")]
    assert [entry.block for entry in entries if entry] == [0, 1]


def test_the_blocks_of_a_removed_source_stay_taken_until_it_comes_back() -> None:
    entries = [Entry("old", "zone", "A", "1", 0), Entry("old", "zone", "B", "2", 1)]
    while_gone = AddressBook(entries, {"new": "p"})
    assert [item.entry.block for item in while_gone.assign("new", "zone", [("1", "A")], 10) if item.entry] == [2]
    back = AddressBook(while_gone.entries, {"new": "p", "old": "p"})
    assert [item.entry.block for item in back.assign("old", "zone", [("1", "A")], 10) if item.entry] == [0]


def test_two_owners_of_one_block_are_refused() -> None:
    entries = [Entry("one", "zone", "A", "1", 0), Entry("two", "zone", "B", "2", 0)]
    assert len(AddressBook(entries, {"one": "p", "two": "q"}).entries) == 2
    with pytest.raises(ConfigError, match="one/zone/A and two/zone/B both own block 0"):
        AddressBook(entries, {"one": "p", "two": "p"})


# -- any history ----------------------------------------------------------------------------------------------------

NAME = st.sampled_from("ABCDE")
IDENT = st.sampled_from("123456")
ANSWER = st.lists(st.tuples(IDENT, NAME), max_size=6)
STEP = st.tuples(st.sampled_from(["one", "two"]), ANSWER, st.sampled_from(["list", "reserve", "restart", "remove two"]))


@settings(max_examples=400)
@given(st.lists(STEP, max_size=12), st.integers(1, 12))
def test_no_history_moves_or_reuses_a_block(steps: list[tuple[str, list[tuple[str, str]], str]], capacity: int) -> None:
    pools = {"one": "p", "two": "p"}
    addresses = AddressBook([], pools)
    owner: dict[int, str] = {}
    for source, answer, what in steps:
        names_before = {entry.block: (entry.source, entry.name, entry.id) for entry in addresses.entries}
        if what == "restart":
            addresses = AddressBook(copy.deepcopy(addresses.entries), pools)
        elif what == "remove two":
            addresses = AddressBook(copy.deepcopy(addresses.entries), {"one": "p"})
            source = "one"  # noqa: PLW2901
        if what == "reserve":
            for _, name in answer:
                addresses.reserve(source, "zone", name, capacity)
        else:
            found = addresses.assign(source, "zone", answer, capacity)
            given = [item.entry.block for item in found if item.entry]
            assert len(given) == len(set(given)), "two listed resources on one block"
        if what == "remove two":
            addresses = AddressBook(copy.deepcopy(addresses.entries), pools)
        blocks = [entry.block for entry in addresses.entries]
        assert len(blocks) == len(set(blocks)), "a block given twice"
        assert all(block < capacity for block in blocks)
        for entry in addresses.entries:
            assert owner.setdefault(entry.block, entry.source) == entry.source
            old = names_before.get(entry.block)
            if old is not None and old[1] != entry.name:
                assert (entry.id, entry.name) in answer, "a name changes only because its id is listed so"
                assert old[2] == entry.id
        for name in pools:
            mine = addresses.of(name, "zone")
            assert len({entry.name for entry in mine}) == len(mine)
            ids = [entry.id for entry in mine if entry.id is not None]
            assert len(ids) == len(set(ids)), "an id on two blocks"
        assert names_before.keys() <= set(blocks), "a block was forgotten"


@given(st.permutations([("1", "A"), ("2", "B"), ("3", "C")]), st.permutations("123"))
def test_any_permutation_of_ids_is_inhibited_and_changes_nothing(order: list[tuple[str, str]], ids: list[str]) -> None:
    addresses = book(("A", "1"), ("B", "2"), ("C", "3"))
    before = owners(addresses)
    moved = {name: ident for (_, name), ident in zip([("1", "A"), ("2", "B"), ("3", "C")], ids, strict=True)}
    found = assign(addresses, *[(moved[name], name) for _, name in order])
    for (_, name), (match, block) in zip(order, found, strict=True):
        stays = moved[name] == {"A": "1", "B": "2", "C": "3"}[name]
        assert (match is Match.KNOWN) is stays
        assert block == int(moved[name]) - 1, "blocks follow ids"
    assert owners(addresses) == before
    assert [match for match, _ in assign(addresses, ("1", "A"), ("2", "B"), ("3", "C"))] == [Match.KNOWN] * 3
    assert not any(entry.waits for entry in addresses.entries), "names that are back need no confirmation"
