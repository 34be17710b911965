"""EVCE's login rules (guide, "Authentication management"), without a clock.

`now` is the simulator's time for idleness, `wall` the product's own clock (they differ when the product's
clock is wrong); both in seconds. The signing secret is made anew at each start.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Literal

import jwt

from gateway.simulator.exchange import EMPTY, Answer, BadBodyError
from gateway.simulator.shapes import exact, text

LIFETIME_S = 12 * 3600
IDLE_S = 30 * 60.0
BAD_LOGINS = 5
SPECIAL = "@$!%?&"

CODE_BAD_REQUEST = 1
CODE_NO_PERMISSION = 2
CODE_BLOCKED = 3
CODE_ALREADY_CONNECTED = 4
CODE_NOT_FOUND = 5


@dataclass(slots=True)
class OpenSession:
    """The one open connection of the user; `person` means it was opened from the product's web page."""

    token: str
    jti: int
    expires: float
    last_used: float
    person: bool = False


def refusal(status: int, code: int, message: str) -> Answer:
    """An error answer in the product's `generic_error` shape."""
    return Answer(status, {"code": code, "message": message})


def weak_password(password: str) -> bool:
    """Says whether a password breaks the guide's rule: 12 characters, lower, upper, digit, one of @$!%?&."""
    kinds = (str.islower, str.isupper, str.isdigit, SPECIAL.__contains__)
    return len(password) < 12 or not all(any(kind(letter) for letter in password) for kind in kinds)


class Accounts:
    """The BMS user: its password, its block and its one session."""

    def __init__(self, username: str, password: str, second_login: Literal["replace", "refuse"]) -> None:
        self.username = username
        self.password = password
        self.second_login = second_login
        self.session: OpenSession | None = None
        self.blocked = False
        self.bad_logins = 0
        self._jti = 0
        self._secret = secrets.token_bytes(32)

    def reboot(self) -> None:
        """Forgets the session and the secret, so that no earlier token is valid; a block stays."""
        self.session = None
        self.bad_logins = 0
        self._secret = secrets.token_bytes(32)

    def login(self, body: object, now: float, wall: float, *, person: bool = False) -> Answer:
        """POST /login/login: {"token"}, or 400, 401 without a body, 403 when blocked or already connected."""
        try:
            given = exact(body, {"login": text(), "password": text()})
        except BadBodyError as error:
            return refusal(400, CODE_BAD_REQUEST, str(error))
        named = given["login"] == self.username
        if named and self.blocked:
            return refusal(403, CODE_BLOCKED, "user account blocked: too many invalid login attempts")
        if not named or given["password"] != self.password:
            self.bad_logins += named
            self.blocked = self.bad_logins >= BAD_LOGINS
            return Answer(401)
        self.bad_logins = 0
        self._drop_ended(now, wall)
        if self.session is not None and self.second_login == "refuse":
            return refusal(403, CODE_ALREADY_CONNECTED, "user already connected")
        return Answer(200, {"token": self._open(now, wall, person=person)})

    def check(self, authorization: str | None, now: float, wall: float) -> bool:
        """Says whether a request may pass, and counts it as activity if so."""
        self._drop_ended(now, wall)
        scheme, _, token = (authorization or "").partition(" ")
        if self.session is None or scheme != "Bearer" or not self._genuine(token):
            return False
        if not secrets.compare_digest(token.encode(), self.session.token.encode()):
            return False
        self.session.last_used = now
        return True

    def change_password(self, old: str, new: str) -> Answer:
        """POST /login/passwd of the logged-in user: 200 and the token is revoked, or 400."""
        if old != self.password:
            return refusal(400, CODE_BAD_REQUEST, "the old password is wrong")
        if weak_password(new):
            return refusal(400, CODE_BAD_REQUEST, "the new password breaks the password rule")
        self.set_password(new)
        return Answer(200, EMPTY)

    def set_password(self, password: str) -> None:
        """Changes the password, which revokes the token."""
        self.password = password
        self.session = None

    def revoke(self) -> None:
        """Ends the open session, as a logout does."""
        self.session = None

    def expire(self) -> None:
        """Lets the open session's 12 hours be over."""
        if self.session is not None:
            self.session.expires = 0.0

    def _open(self, now: float, wall: float, *, person: bool) -> str:
        self._jti += 1
        expires = int(wall) + LIFETIME_S
        claims: dict[str, Any] = {"jti": self._jti, "exp": expires, "sub": self.username, "role": "BEMS"}
        token = jwt.encode(claims, self._secret, algorithm="HS256")
        self.session = OpenSession(token, self._jti, float(expires), now, person)
        return token

    def _genuine(self, token: str) -> bool:
        try:
            jwt.decode(token, self._secret, algorithms=["HS256"], options={"verify_exp": False, "verify_jti": False})
        except jwt.InvalidTokenError:
            return False
        return True

    def _drop_ended(self, now: float, wall: float) -> None:
        if self.session is not None and (now - self.session.last_used >= IDLE_S or wall >= self.session.expires):
            self.session = None
