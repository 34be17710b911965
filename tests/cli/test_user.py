"""`user`: who may log in to the page, as a person says it; no password is ever an argument."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from gateway.store import users
from gateway.store.users import UserBook
from tests.cli.conftest import Call

GOOD = "a good password"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "COST", 2**8)


@pytest.fixture
def password(site: Path) -> str:
    (site / "new").write_text(GOOD + "\n")
    return str(site / "new")


def test_a_user_is_added_listed_given_another_password_and_removed(site: Path, call: Call, password: str) -> None:
    assert "nobody may log in yet" in call("user", "list").out
    assert call("user", "add", "anna", "--role", "operator", "--password-file", password) == (
        *(0, "anna may log in now, as operator\n", ""),
    )
    assert stat.S_IMODE((site / "state" / "users.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((site / "state").stat().st_mode) == 0o700
    assert json.loads(call("user", "list", "--json").out) == [{"name": "anna", "role": "operator"}]
    (site / "new").write_text("another good one\n")
    assert call("user", "passwd", "anna", "--password-file", password).code == 0
    found = UserBook(site / "state").find("anna")
    assert found is not None
    assert found.matches("another good one")
    assert call("user", "remove", "anna").out == "anna is removed, and logged out everywhere\n"
    assert call("user", "remove", "anna") == (4, "", "there is no user 'anna'\n")


def test_the_password_may_come_on_standard_input(site: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(GOOD + "\n"))
    assert call("user", "add", "anna", "--role", "viewer").code == 0
    found = UserBook(site / "state").find("anna")
    assert found is not None
    assert found.matches(GOOD)


def test_what_is_refused_says_why_and_changes_nothing(site: Path, call: Call, password: str) -> None:
    assert call("user", "add", "anna", "--role", "admin", "--password-file", password).code == 0
    before = (site / "state" / "users.json").read_bytes()
    twice = call("user", "add", "anna", "--role", "viewer", "--password-file", password)
    assert (twice.code, twice.err) == (
        *(4, "there is a user 'anna' already; `user passwd anna` changes the password\n"),
    )
    (site / "new").write_text("short\n")
    weak = call("user", "add", "ben", "--role", "viewer", "--password-file", password)
    assert weak.code == 2
    assert "nothing was changed: the password needs 12 to 128 characters" in weak.err
    assert call("user", "add", "b n", "--role", "viewer", "--password-file", password).code == 2
    assert call("user", "add", "ben", "--role", "king", "--password-file", password).code == 2
    assert call("user", "add", "ben", "--role", "viewer", "--password-file", str(site / "none")).code == 2
    assert call("user", "passwd", "ben", "--password-file", password).code == 4
    assert (site / "state" / "users.json").read_bytes() == before
    assert GOOD not in call("user", "list").out


def test_two_different_passwords_are_not_taken(site: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([GOOD, GOOD + "!"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))
    said = call("user", "add", "anna", "--role", "viewer")
    assert (said.code, said.err) == (2, "the two are not the same\n")
    assert not (site / "state" / "users.json").exists()


def test_a_damaged_file_is_told_and_kept(site: Path, call: Call, password: str) -> None:
    (site / "state").mkdir()
    (site / "state" / "users.json").write_text("{")
    said = call("user", "add", "anna", "--role", "viewer", "--password-file", password)
    assert said.code == 1
    assert said.err.startswith("users.json is damaged: restore it from a backup")
    assert (site / "state" / "users.json").read_text() == "{"


def test_users_go_into_a_backup_and_keys_do_not(site: Path, call: Call, password: str) -> None:
    import tarfile

    assert call("user", "add", "anna", "--role", "admin", "--password-file", password).code == 0
    (site / "state" / "page.key").write_bytes(b"k" * 32)
    (site / "state" / "page.pem").write_text("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n")
    said = call("backup", str(site / "site.tar.gz"))
    assert said.code == 0, said.err
    with tarfile.open(site / "site.tar.gz") as archive:
        names = archive.getnames()
    assert "state/users.json" in names
    assert not [name for name in names if "page." in name]
