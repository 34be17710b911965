"""What a product answered, asked like an OpenAPI file: the shapes of saved answers, and nothing about what it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.config.strict_yaml import shown_path
from gateway.core.errors import ConfigError, Fault
from gateway.mapping.openapi.answers import shape_of
from gateway.mapping.openapi.api import Api
from gateway.mapping.openapi.shape import Shape

MISSING = 404


class Answered(Api):
    """The answers of one source. Of a path that was not asked, or was refused for a while, nothing is known."""

    says = "the saved answer to"

    def __init__(self, file: str, product: str, base: str, answers: Mapping[str, Any], missing: frozenset[str]) -> None:
        super().__init__({"paths": {path: {"get": {}} for path in answers}}, file)
        self._product, self.base, self._missing = product, base, missing
        self._answered = {path: shape_of(document) for path, document in answers.items()}

    @property
    def product(self) -> str | None:
        """Whose answers these are."""
        return self._product

    def has(self, method: str, path: str, base: str = "") -> bool:
        """Whether the product may have it: only a GET it answered 404 to is certain."""
        return method != "GET" or path.partition("?")[0] not in self._missing

    def answer(self, method: str, path: str, base: str = "") -> Shape | None:
        """The shape of what it answered."""
        spelled = self.find(path, base)
        return self._answered[spelled] if method == "GET" and spelled is not None else None

    def body(self, method: str, path: str, base: str = "") -> Shape | None:
        """Nothing: answers do not say what a product takes."""
        return None


def answered_of(file: str, saved: Mapping[str, Any]) -> Answered:
    """One source of a saved discovery.

    Raises:
        KeyError, TypeError: it is none.
    """
    answers = {one["endpoint"]["path"]: one["document"] for one in saved["answers"] if not one["problem"]}
    missing = frozenset(one["endpoint"]["path"] for one in saved["answers"] if one["status"] == MISSING)
    return Answered(file, saved["product"], saved["base"], answers, missing)


def read_saved(file: Path) -> dict[str, Answered]:
    """The answers of each source that was reached, by its name, out of a file of `discover --save`.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    shown = shown_path(file)
    try:
        sources = json.loads(file.read_text(encoding="utf-8"))["sources"]
        return {one["name"]: answered_of(shown, one) for one in sources if not one["problem"]}
    except OSError as error:
        text = f"cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, RecursionError):
        text = "is no file of `discover --save`"
    raise ConfigError([Fault(shown, 0, 0, "", text)])
