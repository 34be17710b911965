"""Login rules of the Bender REST API v1.0, section "Authentication" of its reference, without a clock.

`now` is the simulator's time in seconds. One client at a time: any login ends the session before it.
"""

import hashlib
import secrets
import string
import uuid
from dataclasses import dataclass

from gateway.simulator.exchange import Answer, BadBodyError
from gateway.simulator.shapes import exact, text

IDLE_S = 60.0
TOKEN_LENGTH = 32
CODE_WRONG_CREDENTIALS = 1001
CODE_NOT_LOGGED_IN = 1002
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation


@dataclass(slots=True)
class ChargerSession:
    """The one login session; `web` means it belongs to the web interface."""

    id: str
    last_used: float
    web: bool = False


class ChargerLogin:
    """The operator account of one controller."""

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self.password = password
        self.session: ChargerSession | None = None
        self._token: str | None = None

    def token(self) -> Answer:
        """GET /login: {"token"}, good for the next login attempt only; an earlier token is void."""
        self._token = "".join(secrets.choice(_PRINTABLE) for _ in range(TOKEN_LENGTH))
        return Answer(200, {"token": self._token})

    def login(self, body: object, now: float) -> Answer:
        """POST /login: the session, or 401 with code 1001; the token is used up either way."""
        token, self._token = self._token, None
        try:
            given = exact(body, {"username": text(), "password": text()})
        except BadBodyError as error:
            return Answer(400, {"success": False, "cause": str(error)})
        wanted = hashlib.sha256((self.password + (token or "")).encode()).hexdigest()
        if token is None or given["username"] != self.username or given["password"] != wanted:
            message = "Wrong username or password"
            return Answer(401, {"logged_in": False, "message": message, "code": CODE_WRONG_CREDENTIALS})
        session = self.open(now, web=False)
        return Answer(200, {"logged_in": True, "session": {"id": session.id, "timeout": int(IDLE_S)}})

    def open(self, now: float, *, web: bool) -> ChargerSession:
        """Starts a session, which ends any other."""
        self.session = ChargerSession(str(uuid.uuid4()), now, web)
        return self.session

    def check(self, authorization: str | None, now: float) -> bool:
        """Says whether a bare session id is the valid one, and counts it as activity if so."""
        session = self.session
        if session is not None and now - session.last_used >= IDLE_S:
            session = self.session = None
        if session is None or authorization != session.id:
            return False
        session.last_used = now
        return True

    def revoke(self) -> None:
        """Ends the session."""
        self.session = None
