"""Another password for a login: judged, sent in the running session, and settled when nobody knows what came of it.

Rules of this file: nothing is sent that breaks the product's rule (EVCE guide 2.2.1); a password appears in no text;
an unknown outcome is settled by logins, the new password first, each tried once.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from enum import StrEnum

from gateway.app.connect import what_was_said
from gateway.app.passwords import Password
from gateway.core.errors import Ambiguous, CredentialsRefused, SessionLost, SourceError, Unreachable
from gateway.core.point import PasswdSpec
from gateway.mapping.openapi.secrets import hide_text
from gateway.sources import EvceSession
from gateway.sources.bodies import Times, fill_body

SHORTEST = 12
SPECIAL = "@$!%?&"


class Change(StrEnum):
    """What became of a change: `UNKNOWN` means that the product may have taken the new password."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    NOT_REACHED = "not reached"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it, and why in words."""

    change: Change
    text: str = ""


def missing_parts(password: str) -> list[str]:
    """What a password lacks of the product's rule, each part named; [] when it may be sent."""
    missing = []
    if len(password) < SHORTEST:
        missing.append(f"at least {SHORTEST} characters (it has {len(password)})")
    parts = (
        (string.ascii_lowercase, "a small letter"),
        (string.ascii_uppercase, "a capital letter"),
        (string.digits, "a digit"),
        (SPECIAL, f"one of {' '.join(SPECIAL)}"),
    )
    missing += [text for letters, text in parts if not set(letters) & set(password)]
    if not password.isprintable():
        missing.append("no line breaks or other control characters")
    return missing


async def change(session: EvceSession, password: Password, spec: PasswdSpec, new: str, wall: float) -> Outcome:
    """Asks the product for the new password; `password` is the new one from then on."""
    secrets = (password.value, new)
    body = fill_body(spec.body, {"old": password.value, "new": new}, Times(wall))

    def accepted() -> None:
        password.value = new

    for last in (False, True):
        try:
            await session.change_password(spec.path, body, accepted)
        except SessionLost as error:
            if last:
                return Outcome(Change.UNCHANGED, str(error))
        except Ambiguous as error:
            outcome = await settle(session, password, new)
            return Outcome(outcome.change, f"{error}; {outcome.text}".removesuffix("; "))
        except Unreachable as error:
            return Outcome(Change.NOT_REACHED, str(error))
        except SourceError as error:
            return Outcome(Change.UNCHANGED, hide_text(what_was_said(error), secrets))
        else:
            break
    return Outcome(Change.CHANGED)


async def settle(session: EvceSession, password: Password, new: str) -> Outcome:
    """Finds out by logging in which of two passwords the product has; `password` is that one from then on."""
    old = password.value
    for candidate, result in ((new, Change.CHANGED), (old, Change.UNCHANGED)):
        password.value = candidate
        try:
            await session.log_in_anew()
        except CredentialsRefused as error:
            if error.status != 401:
                password.value = old
                return Outcome(Change.UNKNOWN, what_was_said(error))
        except SourceError as error:
            password.value = old
            return Outcome(Change.UNKNOWN, str(error))
        else:
            return Outcome(result)
    return Outcome(Change.UNKNOWN, "the product refuses both the old and the new password")
