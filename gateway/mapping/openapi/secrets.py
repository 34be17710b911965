"""Takes secrets out of what a product answered, before anybody sees it or it is stored.

Rules of this file: rather hide too much; a member is judged by its name and by what stands beside it, a text by
what it looks like; nothing that was hidden leaves a trace of its length. Who charged is nobody's business either.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

HIDDEN = "<hidden>"
SECRET_WORDS = frozenset(
    {
        *("password", "passwd", "passphrase", "passcode", "pwd", "pass", "psk", "pin", "puk", "otp"),
        *("token", "jwt", "bearer", "authorization", "cookie", "credential", "credentials"),
        *("secret", "secrets", "key", "keys", "apikey", "private", "signature", "salt"),
    }
)
"""A member one of whose words is here is hidden with everything below it."""
PERSONAL_WORDS = frozenset(
    {
        *("tag", "tags", "idtag", "rfid", "badge", "card", "emaid", "evccid"),
        *("user", "users", "username", "driver", "owner", "person", "customer", "surname", "firstname", "lastname"),
        *("email", "mail", "phone", "mobile"),
    }
)
"""Texts and long numbers of a member one of whose words is here are hidden: an RFID tag is personal data."""
LONG_NUMBER = 100_000
_PARTS = ("password", "passwd", "passphrase", "secret", "credential", "token", "apikey", "privatekey", "sessionid")
_NAMING = ("key", "name", "id", "param", "parameter", "label")
_SAFE_BESIDE = frozenset({*_NAMING, "type", "unit", "format", "description", "mode"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_TEXTS = (
    re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*)?"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*"),
    re.compile(r"(?<=://)[^/@\s]+(?=@)"),
)


def words_of(name: str) -> list[str]:
    """`apiKey_wlan2` as its words in lower case: api, key, wlan, 2."""
    return [word.lower() for word in _WORD.findall(name)]


def is_secret(name: str) -> bool:
    """Whether a member of this name is hidden."""
    joined = "".join(words_of(name))
    return not SECRET_WORDS.isdisjoint(words_of(name)) or any(part in joined for part in _PARTS)


def is_personal(name: str) -> bool:
    """Whether a member of this name says who somebody is."""
    return not PERSONAL_WORDS.isdisjoint(words_of(name))


def hide(document: Any, known: Collection[str] = ()) -> Any:
    """A copy of the document without secrets; `known` texts are hidden wherever they stand."""
    match document:
        case dict():
            return _object(document, known)
        case list():
            return [hide(item, known) for item in document]
        case str():
            return hide_text(document, known)
    return document


def hide_text(text: str, known: Collection[str] = ()) -> str:
    """A text without what looks like a token, and without the known secrets."""
    for secret in known:
        if secret:
            text = text.replace(secret, HIDDEN)
    for pattern in _TEXTS:
        text = pattern.sub(HIDDEN, text)
    return text


def _object(document: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """A name-value pair is judged by the name it holds; its `key` is then a name and no secret."""
    pair = "value" in document
    named = [document[name] for name in _NAMING if isinstance(document.get(name), str)] if pair else []
    kinds = [document[name] for name in ("type", "format", "input") if isinstance(document.get(name), str)]
    whole = any(is_secret(text) for text in named) or any(is_secret(text) for text in kinds if pair)
    personal = any(is_personal(text) for text in named)
    shown: dict[str, Any] = {}
    for name, value in document.items():
        naming = pair and name == "key" and isinstance(value, str)
        if (is_secret(name) and not naming) or (whole and name not in _SAFE_BESIDE):
            shown[hide_text(name, known)] = HIDDEN
        elif is_personal(name) or (personal and name not in _SAFE_BESIDE):
            shown[hide_text(name, known)] = _without_persons(value)
        else:
            shown[hide_text(name, known)] = hide(value, known)
    return shown


def _without_persons(value: Any) -> Any:
    """The same shape without texts and long numbers; truth values and counts tell of nobody."""
    match value:
        case dict():
            return {name: HIDDEN if is_secret(name) else _without_persons(inner) for name, inner in value.items()}
        case list():
            return [_without_persons(item) for item in value]
        case str() if value:
            return HIDDEN
        case int() | float() if abs(value) >= LONG_NUMBER:
            return HIDDEN
    return value
