"""The users of the page: names, roles and salted password hashes in `users.json` (0600) of the state directory.

Rules of this file: the file is replaced whole, by one writer at a time; it is read again when it has changed, so that
`user remove` and `user passwd` end sessions of a running gateway at once; a file that cannot be read lets nobody in.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError
from gateway.core.role import Role
from gateway.store.files import replace

USERS = "users.json"
FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,39}")
SHORTEST, LONGEST = 12, 128
FEWEST_DIFFERENT = 5
COST, BLOCK, PARALLEL = 2**15, 8, 1
"""scrypt's N, r and p: 32 MiB and about a tenth of a second each."""
MEMORY = 64 * 1024 * 1024
HASH_BYTES, SALT_BYTES = 32, 16
LARGEST_FILE = 1024 * 1024
MOST_USERS = 200


class UserRefused(GatewayError):
    """A change of the users was refused, in words; nothing was changed."""


class UsersUnreadable(GatewayError):
    """`users.json` is there and cannot be understood."""


@dataclass(frozen=True, slots=True)
class User:
    """One user; `stamp` changes with every new password, so that sessions of the old one end."""

    name: str
    role: Role
    stamp: str
    salt: bytes
    digest: bytes

    def matches(self, password: str) -> bool:
        """Whether this is the password; costs 32 MiB and a tenth of a second, so call it beside the loop."""
        return hmac.compare_digest(_digest(password, self.salt), self.digest)


NOBODY = User("", Role.VIEWER, "", bytes(SALT_BYTES), bytes(HASH_BYTES))
"""Costs as much as a real one, so that a name that does not exist cannot be told by the time it takes."""


class UserBook:
    """All users of a state directory."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / USERS
        self._users: dict[str, User] = {}
        self._mark: tuple[int, ...] | None = None

    def find(self, name: str) -> User | None:
        """A user by name; raises UsersUnreadable."""
        return self.all().get(name)

    def all(self) -> dict[str, User]:
        """Every user by name, from the file as it is now.

        Raises:
            UsersUnreadable: the file is there and cannot be understood.
        """
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._users, self._mark = {}, None
            return self._users
        except OSError as error:
            raise UsersUnreadable(f"{USERS} cannot be read: {error.strerror}") from error
        mark = (found.st_mtime_ns, found.st_ino, found.st_size)
        if mark != self._mark:
            self._mark = None
            self._users, self._mark = _read(self._path), mark
        return self._users

    def add(self, name: str, role: Role, password: str) -> None:
        """A new user; raises UserRefused, UsersUnreadable or OSError."""
        if not NAME.fullmatch(name):
            text = "a name begins with a letter or digit and holds only letters, digits, _ . @ - (at most 40)"
            raise UserRefused(text)
        with self._changing() as users:
            if name in users:
                raise UserRefused(f"there is a user {name!r} already; `user passwd` changes the password")
            if len(users) >= MOST_USERS:
                raise UserRefused(f"there are {MOST_USERS} users already")
            users[name] = _made(name, role, password)

    def remove(self, name: str) -> None:
        """Ends a user and all sessions of that user; raises as `add`."""
        with self._changing() as users:
            if users.pop(name, None) is None:
                raise UserRefused(f"there is no user {name!r}")

    def set_password(self, name: str, password: str) -> None:
        """Another password; every session of the user ends; raises as `add`."""
        with self._changing() as users:
            if name not in users:
                raise UserRefused(f"there is no user {name!r}")
            users[name] = _made(name, users[name].role, password)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """The users, to be changed; written when the block ends without an error."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            users = dict(self.all())
            yield users
            replace(self._path, _text(users), 0o600)
        finally:
            os.close(descriptor)


def missing_of(name: str, password: str) -> list[str]:
    """What a new password lacks, in words; nothing when it will do."""
    missing = []
    if not SHORTEST <= len(password) <= LONGEST:
        missing.append(f"{SHORTEST} to {LONGEST} characters")
    if len(set(password)) < FEWEST_DIFFERENT:
        missing.append(f"{FEWEST_DIFFERENT} different characters")
    if not password.isprintable():
        missing.append("only printable characters")
    if len(name) > 2 and name.lower() in password.lower():
        missing.append("no user name in it")
    return missing


def _made(name: str, role: Role, password: str) -> User:
    missing = missing_of(name, password)
    if missing:
        raise UserRefused(f"the password needs {', '.join(missing)}")
    salt = secrets.token_bytes(SALT_BYTES)
    return User(name, role, secrets.token_hex(8), salt, _digest(password, salt))


def _digest(password: str, salt: bytes) -> bytes:
    octets = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(octets, salt=salt, n=COST, r=BLOCK, p=PARALLEL, maxmem=MEMORY, dklen=HASH_BYTES)


def _text(users: dict[str, User]) -> str:
    rows = {
        user.name: {
            "role": str(user.role),
            "stamp": user.stamp,
            "salt": base64.b64encode(user.salt).decode(),
            "scrypt": base64.b64encode(user.digest).decode(),
        }
        for user in users.values()
    }
    return json.dumps({"format": FORMAT, "users": rows}, indent=1) + "\n"


def _read(path: Path) -> dict[str, User]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE)
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise UsersUnreadable(f"{USERS} was written by another version of the gateway")
        return {name: _user(name, row) for name, row in document["users"].items()}
    except OSError as error:
        raise UsersUnreadable(f"{USERS} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise UsersUnreadable(
            f"{USERS} is damaged: restore it from a backup, or remove it and add the users"
        ) from error


def _user(name: str, row: Any) -> User:
    salt, digest = (base64.b64decode(row[key], validate=True) for key in ("salt", "scrypt"))
    if len(digest) != HASH_BYTES or len(salt) < SALT_BYTES or not NAME.fullmatch(name):
        raise ValueError(name)
    return User(name, Role[str(row["role"]).upper()], str(row["stamp"]), salt, digest)
