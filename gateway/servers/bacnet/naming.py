"""Object_Name from a point's full name and the operator's template (ASHRAE 135 clause 12.1.5: unique in the device).

Rules of this file: pure; the same points in the same order always get the same names.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 64
SUFFIX_DIGITS = 8
FIELDS = ("source", "kind", "name", "point")
_FIELD = re.compile(r"\{([^{}]*)\}")


def check_template(template: str, key: str = "object_name") -> None:
    """Refuses a template with a field that is not one of FIELDS, or with a stray brace; `key` is where it stands.

    Raises:
        ValueError: says which.
    """
    for field in _FIELD.findall(template):
        if field not in FIELDS:
            raise ValueError(f"bacnet: {key} has no field {{{field}}}; there are {', '.join(FIELDS)}")
    if set("{}") & set(_FIELD.sub("", template)):
        raise ValueError(f"bacnet: {key} {template!r} has a stray brace")


def render_device(template: str, label: str) -> str:
    """The name of the device of a resource `source/kind/name`, as `render` does it."""
    return render(template, f"{label}/")


def fields_of(full_name: str) -> dict[str, str]:
    """The parts of `source/kind/name/point`; a single resource (`source/kind/point`) is named after its kind."""
    parts = full_name.split("/")
    if len(parts) == 4:
        source, kind, name, point = parts
        name = name.replace("%2F", "/").replace("%25", "%")
    elif len(parts) == 3:
        source, kind, point = parts
        name = kind
    else:
        source = kind = name = parts[0]
        point = "/".join(parts[1:]) or full_name
    return {"source": source, "kind": kind, "name": name, "point": point}


def render(template: str, full_name: str) -> str:
    """The template filled in, printable, 1 to 64 characters."""
    fields = fields_of(full_name)
    return fit(printable(_FIELD.sub(lambda match: fields[match[1]], template)) or full_name)


def printable(text: str) -> str:
    """Control characters and half surrogates as underscores, blanks at the ends removed."""
    if text.isprintable():
        return text.strip()
    return "".join("_" if unicodedata.category(char) in ("Cc", "Cs") else char for char in text).strip()


def fit(text: str, tail: str = "") -> str:
    """`text` + `tail` in 64 characters; what is cut is replaced by a hash of the whole text."""
    if len(text) + len(tail) <= LONGEST:
        return text + tail
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:SUFFIX_DIGITS]
    return f"{text[: LONGEST - len(tail) - SUFFIX_DIGITS - 1]}~{digest}{tail}"
