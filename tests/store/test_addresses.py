"""addresses.yaml: any name comes back, a broken file never means starting anew, and one gateway at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.addressing import Entry
from gateway.core.errors import ConfigError
from gateway.store import ADDRESSES, Store

ENTRIES = [Entry("evce", "zone", "Zone A", "1", 0), Entry("evce", "zone", "Zone B", None, 1)]
ODD = [
    "",
    " ",
    "no",
    "12:30",
    "null",
    "x" * 300,
    "😀 Halle",
    "👩‍👩‍👧‍👦",
    'a "quoted" name',
    "back\\slash",
    "new\nline\r\n",
    "tab\tnul\0bell\7escape\x1b",
    "\x7f\x80\x85\x9f\xa0\xad",
    "\u2028\u2029\ufeff\ufffe\uffff",
    "{id}: [0] # - & * ! | > % @ `",
    "Zoë\u0301",
    "\U0010ffff",
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def write(store: Store, text: str) -> Path:
    path = store.folder / ADDRESSES
    path.write_text(text, encoding="utf-8")
    return path


def refused(store: Store) -> str:
    with pytest.raises(ConfigError) as error:
        store.load_addresses()
    return str(error.value)


def test_nothing_was_given_yet(store: Store) -> None:
    assert store.load_addresses().entries == []
    assert list(store.folder.iterdir()) == [], "looking changes nothing"


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_I08_odd_names_come_back(store: Store, name: str) -> None:
    entries = [Entry("evce", "zone", name, name, 0), Entry("evce", "zone", "next", None, 1)]
    store.save_addresses(entries)
    assert store.load_addresses().entries == entries
    lines = (store.folder / ADDRESSES).read_bytes().split(b"\n")
    assert len(lines) == 8, "one line an entry, whatever its name"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    st.lists(st.text(max_size=30).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)), unique=True)
)
def test_any_names_come_back(store: Store, names: list[str]) -> None:
    entries = [Entry("evce", "zone", name, name or None, block) for block, name in enumerate(names)]
    store.save_addresses(entries)
    assert store.load_addresses().entries == entries


def test_half_a_surrogate_pair_does_not_break_the_file(store: Store) -> None:
    store.save_addresses([Entry("evce", "zone", "a\ud800b", "1", 0)])
    assert store.load_addresses().entries == [Entry("evce", "zone", "a\ufffdb", "1", 0)]


def test_the_file_is_for_people(store: Store) -> None:
    store.save_addresses(ENTRIES)
    text = (store.folder / ADDRESSES).read_text(encoding="utf-8")
    assert text.splitlines()[2:] == [
        "version: 2",
        "count: 2",
        "blocks:",
        '  - {source: "evce", kind: "zone", name: "Zone A", id: "1", block: 0}',
        '  - {source: "evce", kind: "zone", name: "Zone B", id: null, block: 1}',
    ]
    assert stat.S_IMODE((store.folder / ADDRESSES).stat().st_mode) == 0o600


def test_modbus_units_stand_beside_the_blocks(store: Store) -> None:
    entries = [
        Entry("evce", "station", "Bay 1", "1", 0, unit=2),
        Entry("evce", "connector", "Bay 1#2", "2", 7, unit=2, unit_block=1),
        Entry("evce", "zone", "B", None, 1, retired=True, unit=247),
    ]
    store.save_addresses(entries)
    assert store.load_addresses().entries == entries
    assert (store.folder / ADDRESSES).read_text(encoding="utf-8").splitlines()[5:] == [
        '  - {source: "evce", kind: "station", name: "Bay 1", id: "1", block: 0, unit: 2, unit_block: 0}',
        '  - {source: "evce", kind: "connector", name: "Bay 1#2", id: "2", block: 7, unit: 2, unit_block: 1}',
        '  - {source: "evce", kind: "zone", name: "B", id: null, block: 1, retired: true, unit: 247, unit_block: 0}',
    ]


def test_a_hand_made_file_needs_no_count(store: Store) -> None:
    write(store, "version: 1\nblocks:\n- {source: evce, kind: zone, name: no, block: 4}\n")
    assert store.load_addresses().entries == [Entry("evce", "zone", "no", None, 4)]


ROW = "- {{source: e, kind: z, name: {}, block: {}}}\n"
UNIT = "- {{source: e, kind: z, name: {}, block: {}, unit: 2, unit_block: 0}}\n"
BROKEN = {
    "empty": "",
    "garbage": "\x00\x01\x02",
    "binary": "{{{",
    "cut inside a row": '# a\nversion: 1\nblocks:\n  - {source: "evce", kind: "zo',
    "cut between rows": "version: 1\ncount: 2\nblocks:\n  - {source: e, kind: zone, name: A, block: 0}\n",
    "cut before the rows": "version: 1\ncount: 2\nblocks:\n",
    "unknown key": "version: 1\nblock: []\n",
    "a name twice": f"version: 1\nblocks:\n{ROW.format('A', 0)}{ROW.format('A', 1)}",
    "a block twice": f"version: 1\nblocks:\n{ROW.format('A', 0)}{ROW.format('B', 0)}",
    "a negative block": "version: 1\nblocks:\n- {source: e, kind: z, name: A, block: -1}\n",
    "a unit twice": f"version: 2\nblocks:\n{UNIT.format('A', 0)}{UNIT.format('B', 1)}",
    "no such unit": "version: 2\nblocks:\n- {source: e, kind: z, name: A, block: 0, unit: 248}\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=list(BROKEN))
def test_H03_a_broken_file_uses_the_last_generation_and_is_kept(store: Store, text: str) -> None:
    store.open()
    store.save_addresses(ENTRIES[:1])
    store.save_addresses(ENTRIES)
    path = write(store, text)
    assert store.load_addresses().entries == ENTRIES[:1]
    assert (store.folder / "addresses.yaml.broken").read_text() == text
    store.close()
    again = Store(store.folder)
    assert again.load_addresses().entries == ENTRIES[:1], "a second start finds them too"
    assert path.read_text() == (store.folder / "addresses.yaml.1").read_text()


@pytest.mark.parametrize("text", BROKEN.values(), ids=list(BROKEN))
def test_H03_without_a_generation_nothing_starts(store: Store, text: str) -> None:
    path = write(store, text)
    assert f"{path}: restore it from a backup; addresses must not move" in refused(store).splitlines()
    assert path.read_text() == text, "the file is left as it is"


def test_both_generations_broken(store: Store) -> None:
    write(store, "{")
    (store.folder / "addresses.yaml.1").write_text("[")
    assert "addresses must not move" in refused(store)


def test_a_missing_file_is_not_an_empty_one_when_there_was_a_generation(store: Store) -> None:
    store.save_addresses(ENTRIES)
    store.save_addresses(ENTRIES)
    (store.folder / ADDRESSES).unlink()
    assert store.load_addresses().entries == ENTRIES


def test_who_does_not_hold_the_lock_changes_nothing(store: Store) -> None:
    store.save_addresses(ENTRIES)
    store.save_addresses(ENTRIES)
    write(store, "{")
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    assert store.load_addresses().entries == ENTRIES
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before


def test_H16_a_file_of_a_newer_gateway_is_refused_and_left_alone(store: Store) -> None:
    store.open()
    store.save_addresses(ENTRIES)
    store.save_addresses(ENTRIES)
    path = write(store, "version: 3\nregions: {}\n")
    assert refused(store).endswith(
        "version: was written by a newer gateway (version 3); run that one, or restore a backup"
    )
    assert path.read_text() == "version: 3\nregions: {}\n"
    store.close()


def test_H01_a_full_disk_leaves_the_old_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save_addresses(ENTRIES)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save_addresses([*ENTRIES, Entry("evce", "zone", "C", "3", 2)])
    assert store.load_addresses().entries == ENTRIES


def test_generations_work_without_hard_links(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store.save_addresses(ENTRIES[:1])
    store.save_addresses(ENTRIES)
    write(store, "{")
    assert store.load_addresses().entries == ENTRIES[:1]


def test_every_save_is_a_new_file(store: Store) -> None:
    store.save_addresses(ENTRIES)
    with (store.folder / ADDRESSES).open(encoding="utf-8") as reading:
        store.save_addresses(ENTRIES[:1])
        assert "Zone B" in reading.read(), "who reads while it is saved sees the old file, whole"
    assert sorted(path.name for path in store.folder.iterdir()) == [ADDRESSES, "addresses.yaml.1"]


# -- the directory and its lock -------------------------------------------------------------------------------------

SECOND = """
import sys
from pathlib import Path
from gateway.core.errors import ConfigError
from gateway.store import Store
try:
    Store(Path(sys.argv[1])).open()
except ConfigError as error:
    print(error)
"""


def test_H14_a_second_instance_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = Store(folder)
    store.open()
    second = [sys.executable, "-c", SECOND, str(folder)]
    said = subprocess.run(second, capture_output=True, text=True, check=True)
    assert said.stdout == f"{folder}: state_dir: another gateway is already running on it\n"
    with pytest.raises(ConfigError, match="already running"):
        Store(folder).open()
    store.close()
    assert subprocess.run(second, capture_output=True, text=True, check=True).stdout == ""
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_state_dir_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match="state_dir: cannot be used: File exists"):
        Store(tmp_path / "state").open()


def test_tokens(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.load_token("evce") is None
    store.save_token("evce", "abc.def")
    path = tmp_path / "tokens" / "evce"
    assert (store.load_token("evce"), stat.S_IMODE(path.stat().st_mode)) == ("abc.def", 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.write_bytes(b"\xff\xfe")
    assert store.load_token("evce") is None
    store.save_token("evce", None)
    assert not path.exists()
    store.save_token("evce", None)


def test_H01_a_token_that_cannot_be_kept_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("in the way")
    store = Store(tmp_path)
    store.save_token("evce", "abc")
    assert store.load_token("evce") is None


# -- what version 2 brought -----------------------------------------------------------------------------------------


def test_a_file_of_version_1_loads(store: Store) -> None:
    write(store, 'version: 1\ncount: 1\nblocks:\n  - {source: "e", kind: "zone", name: "A", id: "1", block: 0}\n')
    saved = store.load_addresses()
    assert (saved.entries, saved.certificates) == ([Entry("e", "zone", "A", "1", 0)], {})


def test_C14_I11_what_waits_and_what_is_out_of_use_comes_back(store: Store) -> None:
    entries = [
        Entry("evce", "zone", "A", "1", 0, guard="current", new_name="B\n", new_guard="power"),
        Entry("evce", "zone", "B", None, 1, forgotten=True),
        Entry("evce", "zone", "B", None, 2, retired=True),
    ]
    store.save_addresses(entries, {"evce": "sha256:ab"})
    saved = store.load_addresses()
    assert (saved.entries, saved.certificates) == (entries, {"evce": "sha256:ab"})
    text = (store.folder / ADDRESSES).read_text(encoding="utf-8")
    assert text.splitlines()[2:] == [
        "version: 2",
        "count: 3",
        'certificates: {"evce": "sha256:ab"}',
        "blocks:",
        (
            '  - {source: "evce", kind: "zone", name: "A", id: "1", block: 0, '
            'guard: "current", new_name: "B\\U0000000a", new_guard: "power"}'
        ),
        '  - {source: "evce", kind: "zone", name: "B", id: null, block: 1, forgotten: true}',
        '  - {source: "evce", kind: "zone", name: "B", id: null, block: 2, retired: true}',
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_leaves_the_file_to_the_one_the_gateway_runs_as(store: Store) -> None:
    store.save_addresses(ENTRIES)
    path = store.folder / ADDRESSES
    os.chown(path, 12345, 12346)
    store.save_addresses(ENTRIES[:1])
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
    os.chown(store.folder, 12347, 12348)
    path.unlink()
    store.save_addresses(ENTRIES)
    assert (path.stat().st_uid, path.stat().st_gid) == (12347, 12348)
