"""`backup` and `restore` as a user calls them: what they print, and their exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.addressing import Entry
from gateway.store import Store

Call = Callable[..., Any]


@pytest.fixture
def archive(site: Path, call: Call) -> Path:
    (site / "state").mkdir()
    Store(site / "state").save_addresses([Entry("evce", "zone", "Zone A", "1", 0)])
    said = call("backup", "a.tar.gz")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "a.tar.gz: 3 files",
        "not in it, to be put back by hand: the password of evce: environment variable EVCE_PASSWORD",
    ]
    return site / "a.tar.gz"


def test_there_and_back(site: Path, archive: Path, call: Call) -> None:
    said = call("restore", "a.tar.gz", "-c", "new/config.yaml")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        f"restored 1 files of the state to {site}/new/state",
        f"restored {site}/new/config.yaml",
        "put back by hand: the password of evce: environment variable EVCE_PASSWORD",
    ]
    assert (site / "new" / "state" / "addresses.yaml").read_bytes() == (site / "state" / "addresses.yaml").read_bytes()
    assert archive.exists()


@pytest.mark.usefixtures("archive")
def test_an_archive_is_not_replaced_unless_told(call: Call) -> None:
    said = call("backup", "a.tar.gz")
    assert (said.code, said.err) == (4, "a.tar.gz: exists already; name a new file, or say --force\n")
    assert call("backup", "a.tar.gz", "--force").code == 0
    said = call("backup", "none/a.tar.gz")
    assert said.code == 1
    assert said.err.startswith("no backup was made: ")
    assert call("backup", "state/a.tar.gz").code == 4


@pytest.mark.usefixtures("archive")
def test_refusals_change_nothing_and_say_so(site: Path, call: Call) -> None:
    said = call("restore", "a.tar.gz")
    assert (said.code, said.out) == (4, "")
    assert said.err.startswith("nothing was changed: would replace ")
    store = Store(site / "state")
    store.open()
    said = call("restore", "a.tar.gz", "--force")
    store.close()
    assert said.code == 4
    assert said.err.endswith("already running on it: stop it first; nothing was changed\n")
    assert call("restore", "a.tar.gz", "--force").code == 0


@pytest.mark.usefixtures("site")
def test_what_is_no_archive_is_1(call: Call) -> None:
    said = call("restore", "none.tar.gz")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("nothing was changed: none.tar.gz: cannot be read as a backup")
    assert call("restore").code == 2


def test_a_restored_site_with_faults_is_1_and_says_them(site: Path, archive: Path, call: Call) -> None:
    config = (site / "config.yaml").read_text().replace("state_dir: state\n", "state_dir: state\nsite: Other\n")
    assert "site: Other" in config
    mapping = site / "maps.yaml"
    mapping.write_text(next(Path(__file__).parents[2].glob("mappings/evce.yaml")).read_text())
    lines = [line if "mapping:" not in line else f"    mapping: {mapping}" for line in config.splitlines()]
    (site / "config.yaml").write_text("\n".join(lines) + "\n")
    assert call("backup", "b.tar.gz").code == 0
    assert archive.exists()
    said = call("restore", "b.tar.gz", "-c", "new/config.yaml")
    assert said.code == 0, "maps.yaml stands where it stood"
    mapping.unlink()
    said = call("restore", "b.tar.gz", "-c", "third/config.yaml")
    assert said.code == 1
    assert "there is no file" in said.err
