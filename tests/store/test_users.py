"""The user file: salted, private, changed whole, and never half believed."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from gateway.core.role import Role
from gateway.store import users
from gateway.store.installation import Installation
from gateway.store.users import UserBook, UserRefused, UsersUnreadable, missing_of

GOOD = "a good password"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "COST", 2**8)


def test_a_user_is_kept_with_a_hash_of_the_own_salt_readable_by_the_gateway_only(tmp_path: Path) -> None:
    book = UserBook(tmp_path)
    book.add("anna", Role.ADMIN, GOOD)
    book.add("ben", Role.VIEWER, GOOD)
    file = tmp_path / "users.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert GOOD not in text
    rows = json.loads(text)["users"]
    assert rows["anna"]["salt"] != rows["ben"]["salt"]
    assert rows["anna"]["scrypt"] != rows["ben"]["scrypt"]
    found = UserBook(tmp_path).find("anna")
    assert found is not None
    assert found.role is Role.ADMIN
    assert found.matches(GOOD)
    assert not found.matches(GOOD + " ")
    assert not found.matches("")


def test_the_real_cost_is_that_of_a_password_hash() -> None:
    assert users.MEMORY >= 128 * 8 * 2**15
    assert (users.BLOCK, users.PARALLEL) == (8, 1)


def test_another_process_is_seen_at_once(tmp_path: Path) -> None:
    ours, theirs = UserBook(tmp_path), UserBook(tmp_path)
    assert ours.all() == {}
    theirs.add("anna", Role.VIEWER, GOOD)
    first = ours.find("anna")
    theirs.set_password("anna", "another good one")
    second = ours.find("anna")
    assert first is not None
    assert second is not None
    assert first.stamp != second.stamp
    theirs.remove("anna")
    assert ours.find("anna") is None


def test_changes_at_once_are_all_kept(tmp_path: Path) -> None:
    threads = [threading.Thread(target=UserBook(tmp_path).add, args=(f"user{n}", Role.VIEWER, GOOD)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(UserBook(tmp_path).all()) == 12


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 41, "ä", "a/b", "a\n"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserRefused):
        UserBook(tmp_path).add(name, Role.VIEWER, GOOD)
    assert not (tmp_path / "users.json").exists()


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("short", "12 to 128 characters"),
        ("x" * 129, "12 to 128 characters"),
        ("aaaaaaaaaaaa", "5 different characters"),
        ("my name is Anna!", "no user name in it"),
        ("with a\ttabulator", "only printable characters"),
    ],
)
def test_a_weak_password_is_refused_with_what_it_lacks(tmp_path: Path, password: str, missing: str) -> None:
    assert missing in missing_of("anna", password)
    with pytest.raises(UserRefused, match=missing):
        UserBook(tmp_path).add("anna", Role.VIEWER, password)


def test_nobody_is_added_twice_or_removed_twice(tmp_path: Path) -> None:
    book = UserBook(tmp_path)
    book.add("anna", Role.VIEWER, GOOD)
    for change in (lambda: book.add("anna", Role.ADMIN, GOOD), lambda: book.remove("ben")):
        with pytest.raises(UserRefused):
            change()
    with pytest.raises(UserRefused):
        book.set_password("ben", GOOD)
    assert [(user.name, user.role) for user in book.all().values()] == [("anna", Role.VIEWER)]


UNREADABLE = [
    *("", "{", "[]", "null", '{"format": 2, "users": {}}', '{"format": 1}', '{"format": 1, "users": []}', "[" * 5000),
    '{"format": 1, "users": {"a": {"role": "king", "stamp": "", "salt": "", "scrypt": ""}}}',
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_file_that_cannot_be_understood_lets_nobody_in_and_is_not_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / "users.json").write_text(text)
    book = UserBook(tmp_path)
    with pytest.raises(UsersUnreadable):
        book.find("anna")
    with pytest.raises(UsersUnreadable):
        book.add("anna", Role.VIEWER, GOOD)
    assert (tmp_path / "users.json").read_text() == text


def test_the_key_of_an_installation_is_made_once_and_private(tmp_path: Path) -> None:
    key = Installation(tmp_path).session_key()
    assert len(key) == 32
    assert Installation(tmp_path).session_key() == key
    assert stat.S_IMODE((tmp_path / "page.key").stat().st_mode) == 0o600
    (tmp_path / "page.key").write_bytes(b"half")
    assert len(Installation(tmp_path).session_key()) == 32
