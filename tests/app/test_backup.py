"""A whole site into an archive and back: what returns, what is kept, what is refused, and what people must do."""

from __future__ import annotations

import os
import sqlite3
import stat
import tarfile
from pathlib import Path

import pytest

from gateway.addressing import Entry
from gateway.app import backup
from gateway.app.backup import RestoreRefused, make_backup, restore_backup
from gateway.app.load import load_site
from gateway.core.errors import ConfigError
from gateway.store import StateInUse, Store
from gateway.store.backup import ArchiveFault

MAPPINGS = Path(__file__).parents[2] / "mappings"
PASSWORD = "Charging-2026!"
CONFIG = """\
state_dir: state
sources:
  - {name: evce, kind: evce, url: "https://127.0.0.1:1", username: bms, password: {file: secret/pw},
     tls: {ca_file: evce.pem}, mapping: maps/site.yaml}
  - {name: annex, kind: evce, url: "http://127.0.0.1:1", username: bms, password: {env: PW}, mapping: maps/evce.yaml}
  - {name: shed, kind: bender, url: "http://127.0.0.1:2", username: op, password: {credential: shed},
     mapping: OUTSIDE/bender.yaml}
modbus: {listen: "127.0.0.1:0"}
"""
ENTRIES = [Entry("evce", "zone", "Zone A", "1", 0, guard="current"), Entry("evce", "zone", "Zone B", None, 1)]
BY_HAND = [
    "the password of evce: file secret/pw",
    "the password of annex: environment variable PW",
    "the password of shed: systemd credential shed",
]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site's folder, with a mapping that extends another and one that stands elsewhere."""
    folder, outside = tmp_path / "site", tmp_path / "outside"
    for path in (folder / "maps", folder / "secret", folder / "state" / "tokens", outside):
        path.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.replace("OUTSIDE", str(outside)))
    (folder / "config.yaml").chmod(0o640)
    (folder / "maps" / "evce.yaml").write_text((MAPPINGS / "evce.yaml").read_text())
    (folder / "maps" / "site.yaml").write_text("extends: evce.yaml\n")
    (outside / "bender.yaml").write_text((MAPPINGS / "bender.yaml").read_text())
    (folder / "secret" / "pw").write_text(PASSWORD)
    (folder / "evce.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / "state" / "tokens" / "evce").write_text("token-of-a-session")
    Store(folder / "state").save_addresses(ENTRIES, {"evce": "sha256:ab"})
    database = sqlite3.connect(folder / "state" / "state.db")
    database.execute("CREATE TABLE t (n)")
    database.commit()
    database.close()
    return folder


def archive_of(site: Path, file: Path) -> Path:
    assert make_backup(load_site(site / "config.yaml"), site / "config.yaml", file).by_hand == BY_HAND
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_in_an_archive_and_no_secret(site: Path, tmp_path: Path) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    with tarfile.open(file) as tar:
        names = {member.name for member in tar}
        everything = b"".join(content.read() for member in tar if (content := tar.extractfile(member)))
    assert names == {
        "manifest.json",
        "config/config.yaml",
        "config/maps/site.yaml",
        "config/maps/evce.yaml",
        "config/evce.pem",
        "outside/0-bender.yaml",
        "state/addresses.yaml",
        "state/state.db",
    }
    assert PASSWORD.encode() not in everything
    assert b"token-of-a-session" not in everything
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_certificate_with_its_key_stays_out(site: Path, tmp_path: Path) -> None:
    (site / "evce.pem").write_text("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n")
    made = make_backup(load_site(site / "config.yaml"), site / "config.yaml", tmp_path / "a.tar.gz")
    assert made.by_hand[-1] == "the certificate of evce: evce.pem (it holds a private key)"
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert "config/evce.pem" not in tar.getnames()


def test_secrets_of_both_servers_stay_out_and_are_named(site: Path, tmp_path: Path) -> None:
    config = (site / "config.yaml").read_text().partition("modbus:")[0]
    config += """\
modbus:
  listen: "127.0.0.1:0"
  clients: [{name: bms, allow: [10.0.0.5]}]
  tls: {listen: "127.0.0.1:0", certificate: gateway.pem, key: {file: state/key}, client_ca: state/clients.pem,
        roles: {bms: bms}}
bacnet: {address: "127.0.0.1/8:47900", device: {instance: 1, name: x}, dcc_password: {file: state/dcc}}
"""
    (site / "config.yaml").write_text(config)
    for name, content in (("dcc", "secret-dcc"), ("key", "secret-key"), ("clients.pem", "public-ca")):
        (site / "state" / name).write_text(content)
    (site / "gateway.pem").write_text("public-certificate")
    file = tmp_path / "a.tar.gz"
    made = make_backup(load_site(site / "config.yaml"), site / "config.yaml", file)
    assert made.by_hand[3:] == [
        "the dcc_password of BACnet: file state/dcc",
        "the private key of Modbus: file state/key",
    ]
    with tarfile.open(file) as tar:
        everything = b"".join(content.read() for member in tar if (content := tar.extractfile(member)))
    assert b"secret-" not in everything
    assert b"public-ca" in everything
    assert b"public-certificate" in everything


def test_a_site_comes_back_on_another_machine(site: Path, tmp_path: Path) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    there = tmp_path / "new" / "config.yaml"
    restored = restore_backup(file, there, force=False)
    assert restored.faults == []
    state = tmp_path / "new" / "state"
    assert restored.said[0] == f"restored 2 files of the state to {state}"
    assert restored.said[-3:] == [f"put back by hand: {text}" for text in BY_HAND]
    saved = Store(state).load_addresses()
    assert (saved.entries, saved.certificates) == (ENTRIES, {"evce": "sha256:ab"})
    for name in ("config.yaml", "maps/site.yaml", "maps/evce.yaml", "evce.pem"):
        assert (tmp_path / "new" / name).read_bytes() == (site / name).read_bytes()
    assert stat.S_IMODE(there.stat().st_mode) == 0o640
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()} == {0o600}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["config.yaml", "evce.pem", "maps", "state"]


def test_what_stood_outside_is_never_written_there(site: Path, tmp_path: Path) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    (tmp_path / "outside" / "bender.yaml").unlink()
    restored = restore_backup(file, tmp_path / "new" / "config.yaml", force=False)
    copy = tmp_path / "new" / "from-backup" / "0-bender.yaml"
    assert copy.exists()
    assert not (tmp_path / "outside" / "bender.yaml").exists()
    outside = (
        f"put back by hand: {tmp_path}/outside/bender.yaml, which stands outside {tmp_path}/new; its copy is {copy}"
    )
    assert outside in restored.said
    assert ["there is no file" in fault.text for fault in restored.faults] == [True], "the check says so as well"


def test_what_is_there_is_replaced_only_by_force_and_kept(site: Path, tmp_path: Path) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    Store(site / "state").save_addresses([Entry("evce", "zone", "Other", "9", 0)])
    (site / "maps" / "site.yaml").write_text("extends: evce.yaml\n# changed\n")
    before = contents(site)
    with pytest.raises(RestoreRefused) as caught:
        restore_backup(file, site / "config.yaml", force=False)
    assert str(caught.value) == (
        f"would replace {site}/state, {site}/maps/site.yaml: say --force to keep the old beside and do it"
    )
    assert {k: v for k, v in contents(site).items() if k != "state/lock"} == before
    restored = restore_backup(file, site / "config.yaml", force=True)
    assert restored.faults == []
    kept = next(site.glob("state.before-restore-*"))
    assert f"(what was there is {kept})" in restored.said[0]
    assert [entry.name for entry in Store(kept).load_addresses().entries] == ["Other"]
    assert Store(site / "state").load_addresses().entries == ENTRIES
    assert next((site / "maps").glob("site.yaml.before-restore-*")).read_text().endswith("# changed\n")
    assert (site / "maps" / "site.yaml").read_text() == "extends: evce.yaml\n"
    assert (site / "state" / "tokens" / "evce").read_text() == "token-of-a-session", "sessions are this machine's"
    assert not [path for path in site.iterdir() if path.name.startswith((".restore", "state.restoring"))]


def test_every_restore_keeps_what_was_there_also_within_one_second(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    monkeypatch.setattr(backup.time, "strftime", lambda *_: "20261121T000000Z")
    for text in ("# one\n", "# two\n", "# three\n"):
        (site / "maps" / "site.yaml").write_text(f"extends: evce.yaml\n{text}")
        assert restore_backup(file, site / "config.yaml", force=True).faults == []
    names = [f"20261121T000000Z{more}" for more in ("", "-2", "-3")]
    kept = [(site / "maps" / f"site.yaml.before-restore-{name}").read_text().splitlines()[1] for name in names]
    assert kept == ["# one", "# two", "# three"]
    assert sorted(path.name for path in site.glob("state.*")) == [f"state.before-restore-{name}" for name in names]


def test_nothing_is_restored_under_a_running_gateway(site: Path, tmp_path: Path) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    running = Store(site / "state")
    running.open()
    before = contents(site)
    with pytest.raises(StateInUse):
        restore_backup(file, site / "config.yaml", force=True)
    running.close()
    assert contents(site) == before


@pytest.mark.parametrize("broken", ["state/addresses.yaml", "config/config.yaml", "cut"])
def test_nothing_is_touched_by_an_archive_that_is_of_no_use(site: Path, tmp_path: Path, broken: str) -> None:
    if broken == "state/addresses.yaml":
        (site / "state" / "addresses.yaml").write_text("version: 2\ncount: 7\nblocks:\n")
    file = archive_of(site, tmp_path / "a.tar.gz")
    if broken == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif broken == "config/config.yaml":
        site_config = (site / "config.yaml").read_text()
        (site / "config.yaml").write_text(site_config + "nonsense: 1\n")
        files = {"config/config.yaml": site / "config.yaml"}
        manifest = backup.Manifest("1", "now", "config/config.yaml", {}, [])
        backup.write_archive(file, files, manifest)
        (site / "config.yaml").write_text(site_config)
    before = contents(site)
    with pytest.raises((ConfigError, ArchiveFault)):
        restore_backup(file, site / "config.yaml", force=True)
    assert {k: v for k, v in contents(site).items() if k != "state/lock"} == before


def test_a_folder_that_is_no_state_of_a_gateway_is_left_alone(site: Path, tmp_path: Path) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    home = tmp_path / "new" / "state"
    home.mkdir(parents=True)
    (home / "precious").write_text("x")
    with pytest.raises(RestoreRefused, match="is not empty and is no state of a gateway"):
        restore_backup(file, tmp_path / "new" / "config.yaml", force=True)
    assert (home / "precious").read_text() == "x"


def test_a_state_that_cannot_be_put_in_place_leaves_the_old_one(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    before = contents(site)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if ".restoring-" in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="No space left"):
        restore_backup(file, site / "config.yaml", force=True)
    assert {k: v for k, v in contents(site).items() if k != "state/lock"} == before
    assert not list(site.glob("state.*"))


def test_a_backup_inside_the_state_would_grow_for_ever(site: Path) -> None:
    with pytest.raises(RestoreRefused, match="is inside the state directory: write the backup elsewhere"):
        make_backup(load_site(site / "config.yaml"), site / "config.yaml", site / "state" / "a.tar.gz")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_restores_for_the_one_the_gateway_runs_as(site: Path, tmp_path: Path) -> None:
    file = archive_of(site, tmp_path / "a.tar.gz")
    for path in (site / "state", *(site / "state").rglob("*")):
        os.chown(path, 12345, 12346)
    restore_backup(file, site / "config.yaml", force=True)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (site / "state", *(site / "state").rglob("*"))}
    assert owners == {(12345, 12346)}
