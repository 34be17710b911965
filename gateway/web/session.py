"""Sessions of the page: short-lived signed tokens, renewed while they are used, ended by logout and by `user` commands.

Rules of this file: a token says who and until when, never what the user may do: role and existence are asked of the
user book at every request; a token is worth nothing without this installation's key.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from gateway.core.role import Role
from gateway.engine.ports import Clock

TOKEN_S = 15 * 60.0
"""How long a token lives unused."""
RENEW_S = TOKEN_S / 3
"""A token this old is replaced when it is used."""
LONGEST_S = 12 * 3600.0
"""After this time a person logs in again, whatever was renewed."""
SLACK_S = 60.0
"""A request that ran beside the logout may have got a younger token."""
MOST_ENDED = 2000
ALGORITHM = "HS256"
AUDIENCE = "evce-gateway page"


class Account(Protocol):
    """A user as sessions see one; `stamp` changes with the password."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> Role: ...

    @property
    def stamp(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Session:
    """One login: `began` and `ends` (of this token) are Unix times, `id` stays while the token is renewed."""

    user: str
    role: Role
    id: str
    began: float
    issued: float
    ends: float
    stamp: str


class Sessions:
    """Issues, checks and ends tokens.

    Args:
        key: of this installation.
        clock: wall time for what tokens say.
        find: a user by name, None for one that is gone.
        ended: the sessions ended by logout in an earlier run: their ids, and when their last token ends (Unix time).
        keep: told of the ended ones whenever they change, to be kept over a restart.
    """

    def __init__(
        self,
        key: bytes,
        clock: Clock,
        find: Callable[[str], Account | None],
        *,
        ended: Mapping[str, float],
        keep: Callable[[Mapping[str, float]], None],
    ) -> None:
        self._key, self._clock, self._find, self._keep = key, clock, find, keep
        self._ended = dict(ended)

    def begin(self, user: Account) -> tuple[str, Session]:
        """A new login: its token and what it says."""
        now = self._clock.wall()
        return self._token(Session(user.name, user.role, secrets.token_hex(16), now, now, 0.0, user.stamp))

    def renewed(self, session: Session) -> tuple[str, Session] | None:
        """A younger token of the same login, None while this one is young enough or the login is at its end."""
        now = self._clock.wall()
        if now - session.issued < RENEW_S or now >= session.began + LONGEST_S:
            return None
        return self._token(session)

    def _token(self, session: Session) -> tuple[str, Session]:
        now = self._clock.wall()
        ends = min(now + TOKEN_S, session.began + LONGEST_S)
        said = Session(session.user, session.role, session.id, session.began, now, ends, session.stamp)
        claims = {
            "aud": AUDIENCE,
            "sub": said.user,
            "sid": said.id,
            "iat": said.issued,
            "exp": said.ends,
            "began": said.began,
            "stamp": said.stamp,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM), said

    def check(self, token: str) -> Session | None:
        """The session of a token, None when it is not ours, has ended, or its user has changed."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={"require": ["aud", "sub", "exp", "iat"], "verify_exp": False, "verify_iat": False},
            )
            name, ident, stamp = str(claims["sub"]), str(claims["sid"]), str(claims["stamp"])
            began, issued, ends = float(claims["began"]), float(claims["iat"]), float(claims["exp"])
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            return None
        if self._clock.wall() >= ends:
            return None
        return self._alive(Session(name, Role.VIEWER, ident, began, issued, ends, stamp))

    def _alive(self, session: Session) -> Session | None:
        user = self._find(session.user)
        if user is None or user.stamp != session.stamp or session.id in self._ended:
            return None
        now = self._clock.wall()
        if not session.began - TOKEN_S <= now < session.began + LONGEST_S:
            return None
        return Session(session.user, user.role, session.id, session.began, session.issued, session.ends, session.stamp)

    def still(self, session: Session) -> bool:
        """Whether a login goes on, whatever became of this token of it: what an open event stream asks."""
        return self._alive(session) is not None

    def end(self, session: Session) -> None:
        """Logout: no token of this login is worth anything any more, also after a restart."""
        now = self._clock.wall()
        self._ended = {ident: until for ident, until in self._ended.items() if until > now}
        while len(self._ended) >= MOST_ENDED:
            del self._ended[min(self._ended, key=self._ended.__getitem__)]
        self._ended[session.id] = now + TOKEN_S + SLACK_S
        self._keep(self._ended)
