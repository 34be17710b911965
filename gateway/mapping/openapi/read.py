"""Reads an OpenAPI file as products hand it out: JSON, YAML, or the JavaScript a Swagger page loads.

Nothing in the file is run: of JavaScript only the first JSON object that holds an OpenAPI document is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gateway.config.strict_yaml import Document, parse_yaml, shown_path
from gateway.core.errors import ConfigError, Fault
from gateway.mapping.openapi.api import Api

LARGEST_FILE = 16 * 1024 * 1024
MOST_TRIES = 200
_OBJECT = re.compile(r"[=(:]\s*(?=\{)")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_openapi(file: Path) -> Api:
    """The API that a file describes.

    Raises:
        ConfigError: it cannot be read, or holds no OpenAPI document.
    """
    shown = shown_path(file)
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise _fault(shown, f"larger than {LARGEST_FILE // 1024 // 1024} MB")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _fault(shown, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _fault(shown, f"is not UTF-8 text (byte {error.start})") from error
    try:
        found = next((spec for data in _candidates(text, shown) if (spec := _spec_in(data)) is not None), None)
    except RecursionError:
        raise _fault(shown, "is nested too deep") from None
    if found is None:
        raise _fault(shown, "holds no OpenAPI document (an object with `openapi` or `swagger`, and `paths`)")
    return Api(found, shown)


def _fault(shown: str, text: str) -> ConfigError:
    return ConfigError([Fault(shown, 0, 0, "", text)])


def _candidates(text: str, shown: str) -> Iterator[Any]:
    """What the text may hold: a JSON document, JSON objects inside JavaScript, or YAML."""
    if text.lstrip().startswith("{"):
        try:
            yield json.loads(text)
        except ValueError:
            yield from _yaml(text, shown)
        return
    decoder = json.JSONDecoder()
    for tries, match in enumerate(_OBJECT.finditer(text)):
        if tries == MOST_TRIES:
            break
        try:
            yield decoder.raw_decode(text, match.end())[0]
        except ValueError:
            continue
    yield from _yaml(text, shown)


def _yaml(text: str, shown: str) -> Iterator[Any]:
    """Strictly if it can be, else as YAML 1.1 with safe tags; what is nested too deep is not tried twice."""
    strict = parse_yaml(text, Document(file=shown))
    if not strict.faults:
        yield strict.data
        return
    if any("nested" in fault.text for fault in strict.faults):
        raise ConfigError(strict.faults)
    try:
        yield yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe loader: plain data only
    except (yaml.YAMLError, ValueError):
        raise ConfigError(strict.faults[:1]) from None


def _spec_in(data: Any, depth: int = 0) -> dict[str, Any] | None:
    """The OpenAPI document in decoded data, itself or a few wrappers down."""
    if not isinstance(data, dict):
        return None
    if ("openapi" in data or "swagger" in data) and isinstance(data.get("paths"), dict):
        return data
    if depth == 3:
        return None
    return next((spec for value in data.values() if (spec := _spec_in(value, depth + 1)) is not None), None)
